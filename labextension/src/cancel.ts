/** Buttons in outputs that end a run: `data-flyte-jupyter-cancel="NAME OF THE RUN"`. */

import type { Actions } from './actions';

const ATTRIBUTE = 'data-flyte-jupyter-cancel';

/**
 * Let such buttons work, those of outputs to come too.
 *
 * @param actions - does it.
 */
export function hearCancelButtons(actions: Actions): void {
  document.addEventListener('click', event => {
    const target = event.target instanceof Element ? event.target : null;
    const pressed = target?.closest(`[${ATTRIBUTE}]`) ?? null;
    const run = pressed?.getAttribute(ATTRIBUTE);
    if (!pressed || !run || pressed.getAttribute('aria-disabled') === 'true') {
      return;
    }
    event.preventDefault();
    pressed.setAttribute('aria-disabled', 'true');
    const connection = actions.notebooks.connectionOf(pressed);
    void actions.cancel(run, connection).then(done => {
      if (!done) {
        pressed.removeAttribute('aria-disabled');
      }
    });
  });
}
