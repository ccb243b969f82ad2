/** The rows of the side bar's parts, as elements. */

import type { Actions } from './actions';
import { button, make } from './dom';
import type { Environment, Leftover, Run, Target, Task } from './protocol';
import { goingOn, lasting, magicLine, phaseWords, sign } from './words';

/** Return the row of an environment, with its tasks. */
export function environmentRow(one: Environment, actions: Actions): HTMLElement {
  const image = one.image_state ? `${one.image}, ${one.image_state}` : one.image;
  const row = make(
    'li',
    { class: 'flyte-row' },
    make(
      'div',
      { class: 'flyte-head' },
      goes(one.name, one.cell, one.origin, actions),
      make(
        'span',
        { class: 'flyte-tools' },
        tool('Panel', `Panel of ${one.name}`, `panel ${one.name}`, () =>
          actions.panel(one.name)
        )
      )
    ),
    detail(one.resources || 'no resources asked for'),
    detail(one.accelerator, 'accelerator'),
    detail(image, 'image'),
    detail(one.target, 'target'),
    detail(one.overridden.join(', '), 'overridden'),
    detail(one.deployed, 'deployment')
  );
  if (one.tasks.length > 0) {
    row.append(
      make(
        'ul',
        { class: 'flyte-tasks', 'aria-label': `Tasks of ${one.name}` },
        ...one.tasks.map(task => taskRow(task, actions))
      )
    );
  }
  goesByDoubleClick(row, one.cell, one.name, actions);
  return row;
}

function taskRow(task: Task, actions: Actions): HTMLElement {
  const row = make(
    'li',
    { class: 'flyte-head' },
    goes(task.label, task.cell, task.origin, actions, task.name),
    make(
      'span',
      { class: 'flyte-tools' },
      tool('Run', `Run ${task.label}`, `run ${task.name}`, () =>
        actions.run(task)
      ),
      tool('Form', `Launch ${task.label} by a form`, `launch ${task.name}`, () =>
        actions.launch(task.name)
      )
    )
  );
  goesByDoubleClick(row, task.cell, task.label, actions);
  return row;
}

const DEAF =
  'The kernel executes a cell and hears no button meanwhile: use the stop button of the notebook.';

/**
 * Return the row of a run.
 *
 * @param one - the run.
 * @param actions - does what its buttons ask for.
 * @param hears - whether the kernel hears a button now.
 */
export function runRow(
  one: Run,
  actions: Actions,
  hears: boolean
): HTMLElement {
  const since = Date.now() / 1000;
  const time = make('span', { class: 'flyte-time' });
  if (one.goes_on) {
    time.dataset.since = String(one.created);
    time.textContent = goingOn(one.created, since);
  } else {
    time.textContent = one.seconds === null ? '' : lasting(one.seconds);
  }
  const words = phaseWords(one.phase);
  const where = one.mine ? one.target : `${one.target}, another kernel`;
  const tools: HTMLElement[] = [];
  if (one.goes_on && one.mine) {
    const cancel = tool(
      'Cancel',
      hears ? `Cancel ${one.name}` : DEAF,
      `cancel ${one.name}`,
      () => (hears ? actions.cancel(one.name) : Promise.resolve())
    );
    // it stays in reach of the keys, which is how its reason is read
    cancel.setAttribute('aria-disabled', String(!hears));
    tools.push(cancel);
  } else if (one.goes_on || one.phase === 'lost') {
    tools.push(
      tool('Attach', `Attach to ${one.name}`, `attach ${one.name}`, () =>
        actions.write(magicLine('flyte_attach', one.name))
      )
    );
  }
  tools.push(
    tool('Logs', `Logs of ${one.name}`, `logs ${one.name}`, () =>
      actions.logs(one.name)
    )
  );
  return make(
    'li',
    { class: 'flyte-row' },
    make(
      'div',
      { class: 'flyte-head' },
      make(
        'span',
        { class: `flyte-phase flyte-phase-${one.phase}` },
        make('span', { 'aria-hidden': 'true' }, `${sign(one.phase)} `),
        words
      ),
      make('span', { class: 'flyte-name', title: one.name }, one.task),
      time
    ),
    detail(one.calls, 'calls'),
    detail(one.error, 'error'),
    make(
      'div',
      { class: 'flyte-head' },
      make('span', { class: 'flyte-detail' }, where),
      make('span', { class: 'flyte-tools' }, ...tools)
    )
  );
}

/** Have the times of what goes on say what they are now. */
export function updateTimes(within: HTMLElement): void {
  const now = Date.now() / 1000;
  within.querySelectorAll<HTMLElement>('[data-since]').forEach(time => {
    time.textContent = goingOn(Number(time.dataset.since), now);
  });
}

/** Return the row of a target. */
export function targetRow(one: Target): HTMLElement {
  return make(
    'li',
    { class: 'flyte-row' },
    make(
      'div',
      { class: 'flyte-head' },
      make('span', { class: 'flyte-name' }, one.name),
      one.default ? make('span', { class: 'flyte-chip' }, 'default') : null
    ),
    ...one.rows.map(({ what, amount }) => detail(amount, what)),
    detail(one.trouble)
  );
}

/** Return the row of something that is left over. */
export function leftoverRow(one: Leftover, actions: Actions): HTMLElement {
  const facts = [one.kind, one.state, one.age && `${one.age} old`, one.memory];
  const owner = one.dead ? '' : 'its kernel cannot be seen from here';
  return make(
    'li',
    { class: 'flyte-row' },
    make(
      'div',
      { class: 'flyte-head' },
      make('span', { class: 'flyte-name' }, one.name),
      make(
        'span',
        { class: 'flyte-tools' },
        one.dead
          ? null
          : tool('Remove', `Remove ${one.name}`, `remove ${one.name}`, () =>
              actions.remove(one.name)
            )
      )
    ),
    detail([one.target, ...facts].filter(fact => fact !== '').join(', ')),
    detail(one.what),
    detail(owner)
  );
}

function goes(
  text: string,
  cell: string | null,
  origin: string,
  actions: Actions,
  key = text
): HTMLElement {
  if (cell === null) {
    return make('span', { class: 'flyte-name', title: origin }, text);
  }
  const link = make(
    'button',
    { type: 'button', class: 'flyte-link flyte-name', 'data-key': `cell ${key}` },
    text
  );
  link.title = `Go to ${origin}`;
  link.addEventListener('click', () => void actions.goTo(cell, text));
  return link;
}

function goesByDoubleClick(
  row: HTMLElement,
  cell: string | null,
  what: string,
  actions: Actions
): void {
  row.addEventListener('dblclick', event => {
    if (event.target instanceof Element && event.target.closest('.flyte-button')) {
      return;
    }
    event.stopPropagation();
    event.preventDefault();
    void actions.goTo(cell, what);
  });
}

function tool(
  text: string,
  label: string,
  key: string,
  act: () => Promise<unknown>
): HTMLButtonElement {
  const made = button(text, label, () => void act());
  made.dataset.key = key;
  return made;
}

function detail(text: string, what = ''): HTMLElement | null {
  if (text === '') {
    return null;
  }
  return make(
    'div',
    { class: 'flyte-detail' },
    what ? make('span', { class: 'flyte-what' }, `${what} `) : null,
    text
  );
}
