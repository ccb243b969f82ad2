/** Buttons in outputs that show a whole log: `data-flyte-jupyter-logs="RUN PART"`. */

import type { Actions } from './actions';

const ATTRIBUTE = 'data-flyte-jupyter-logs';
/** A run and a part of it; an output may come from anybody, and nothing else is made a cell. */
const NAMES = /^[\w.-]+ [\w.-]+$/;

/**
 * Let such buttons work, those of outputs to come too.
 *
 * Without this extension they are not to be seen; its style sheet shows them.
 *
 * @param actions - does it.
 */
export function hearLogButtons(actions: Actions): void {
  document.addEventListener('click', event => {
    const target = event.target instanceof Element ? event.target : null;
    const names = target?.closest(`[${ATTRIBUTE}]`)?.getAttribute(ATTRIBUTE);
    if (names && NAMES.test(names)) {
      event.preventDefault();
      void actions.logs(names);
    }
  });
}
