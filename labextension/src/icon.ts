/** The sign of the side bar: one thing that three others come of. */

import { LabIcon } from '@jupyterlab/ui-components';

export const flyteIcon = new LabIcon({
  name: 'flyte-jupyter:flow',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161">
    <circle cx="5" cy="12" r="3"/>
    <circle cx="19" cy="5" r="3"/><circle cx="19" cy="12" r="3"/><circle cx="19" cy="19" r="3"/>
    <path d="M7 11.2 17 5.6l.8 1.5L7.8 12.7zM7.5 11.2H17v1.6H7.5zM7.8 11.3l10 5.6-.8 1.5-10-5.6z"/>
  </g>
</svg>`
});
