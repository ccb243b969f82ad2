/** The side bar: environments, runs, targets and leftovers of the notebook that is looked at. */

import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';

import type { Actions } from './actions';
import type { Connection } from './connection';
import { button, make } from './dom';
import { flyteIcon } from './icon';
import { PARTS, type Part, type Parts } from './protocol';
import {
  environmentRow,
  leftoverRow,
  runRow,
  targetRow,
  updateTimes
} from './rows';
import { Section } from './section';

const EMPTY: Record<Part, string> = {
  environments: 'None is declared yet: begin a cell with %%flyte_env NAME.',
  runs: 'Nothing has been run in this folder yet.',
  targets: 'There is none.',
  leftovers: 'Nothing is left over from kernels that have ended.'
};

/** Shows what the kernel tells, and asks it for what people want. */
export class SideBar extends Widget {
  /**
   * @param actions - does what its buttons ask for.
   */
  constructor(private readonly actions: Actions) {
    super();
    this.id = 'flyte-jupyter';
    this.addClass('flyte-sidebar');
    this.title.icon = flyteIcon;
    this.title.caption = 'Flyte';
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', 'Flyte');
    this.status = make('p', { class: 'flyte-status', role: 'status' });
    this.tools = make(
      'div',
      { class: 'flyte-bar', role: 'toolbar', 'aria-label': 'Flyte' },
      this.tool('Run…', 'Run a task', () => actions.chooseAndRun()),
      this.tool('Form…', 'Launch a task by a form', () =>
        actions.chooseAndLaunch()
      ),
      this.tool('Deploy…', 'Deploy environments', () =>
        actions.chooseAndDeploy()
      ),
      this.tool('Panel', 'Panel of all environments', () => actions.panel()),
      this.tool('Graph', 'Graph of the environments', () => actions.graph())
    );
    this.clean = button('Clean up', 'Remove what kernels that have ended left', () =>
      void actions.clean()
    );
    this.sections = {
      environments: new Section('Environments', this.refresh('environments')),
      runs: new Section('Runs', this.refresh('runs')),
      targets: new Section('Targets', this.refresh('targets')),
      leftovers: new Section(
        'Leftovers',
        this.clean,
        this.refresh('leftovers')
      )
    };
    this.node.append(
      make('h2', {}, 'Flyte'),
      this.status,
      this.tools,
      ...PARTS.map(part => this.sections[part].node)
    );
    actions.notebooks.changed.connect(() => this.update());
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this.follow();
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    this.follow();
  }

  protected override onAfterHide(message: Message): void {
    super.onAfterHide(message);
    this.follow();
  }

  protected override onBeforeDetach(message: Message): void {
    super.onBeforeDetach(message);
    this.watched?.watch([]);
    this.watched = null;
    clearInterval(this.clock);
  }

  protected override onUpdateRequest(message: Message): void {
    super.onUpdateRequest(message);
    if (this.isVisible) {
      this.follow();
    }
  }

  /** Watch what is looked at, and nothing else. */
  private follow(): void {
    const connection = this.isVisible ? this.actions.notebooks.connection : null;
    if (this.watched !== connection) {
      if (this.watched && !this.watched.isDisposed) {
        this.watched.watch([]);
      }
      this.watched = connection;
      connection?.attempt();
      connection?.watch(PARTS);
    }
    clearInterval(this.clock);
    if (this.isVisible) {
      this.clock = setInterval(() => updateTimes(this.node), 1000);
      this.render(connection);
    }
  }

  private render(connection: Connection | null): void {
    const open = connection?.state === 'open';
    const said = statusOf(connection);
    if (this.status.textContent !== said) {
      this.status.textContent = said;
    }
    this.tools.hidden = !open;
    for (const part of PARTS) {
      this.sections[part].node.hidden = !open;
    }
    if (!open) {
      return;
    }
    const { actions } = this;
    const dead = connection.told('leftovers')?.rows.some(one => one.dead);
    this.clean.hidden = !dead;
    this.fill(connection, 'environments', rows =>
      rows.map(one => environmentRow(one, actions))
    );
    const hears = connection.actsWhileBusy || !connection.busy;
    this.fill(
      connection,
      'runs',
      rows => rows.map(one => runRow(one, actions, hears)),
      String(hears)
    );
    this.fill(connection, 'targets', rows => rows.map(targetRow));
    this.fill(connection, 'leftovers', rows =>
      rows.map(one => leftoverRow(one, actions))
    );
  }

  private fill<P extends Part>(
    connection: Connection,
    part: P,
    shown: (rows: Parts[P]) => HTMLElement[],
    beside = ''
  ): void {
    const told = connection.told(part);
    const key = JSON.stringify(told) + beside;
    this.sections[part].show(key, told?.rows.length ?? null, () => {
      if (told === null) {
        return [make('p', { class: 'flyte-empty' }, 'The kernel is asked …')];
      }
      const rows = shown(told.rows);
      const words = told.trouble || (rows.length === 0 ? EMPTY[part] : '');
      const kind = told.trouble ? 'flyte-trouble' : 'flyte-empty';
      return [
        ...(words ? [make('p', { class: kind }, words)] : []),
        ...(rows.length > 0
          ? [make('ul', { class: 'flyte-rows' }, ...rows)]
          : [])
      ];
    });
  }

  private tool(
    text: string,
    label: string,
    act: () => Promise<unknown>
  ): HTMLButtonElement {
    return button(text, label, () => void act());
  }

  private refresh(part: Part): HTMLButtonElement {
    return button('↻', `Look at ${part} again`, () => {
      void this.actions.refresh([part]);
    });
  }

  private watched: Connection | null = null;
  private clock: ReturnType<typeof setInterval> | undefined;
  private readonly status: HTMLElement;
  private readonly tools: HTMLElement;
  private readonly clean: HTMLButtonElement;
  private readonly sections: Record<Part, Section>;
}

function statusOf(connection: Connection | null): string {
  if (connection === null) {
    return 'Open a notebook to see its environments and runs.';
  }
  switch (connection.state) {
    case 'no kernel':
      return 'This notebook has no kernel.';
    case 'not loaded':
      return 'Run %load_ext flyte_jupyter in this notebook to see its environments and runs.';
    case 'opening':
      return 'The kernel is asked …';
    case 'refused':
      return connection.trouble;
    case 'open':
      return connection.busy && !connection.actsWhileBusy
        ? 'The kernel executes a cell, and answers after it.'
        : '';
  }
}
