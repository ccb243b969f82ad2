/** What people do with what is shown: each is written into a cell, or asked of the kernel. */

import {
  Dialog,
  InputDialog,
  Notification,
  showDialog
} from '@jupyterlab/apputils';
import type { JSONObject } from '@lumino/coreutils';

import type { Connection } from './connection';
import type { Notebooks } from './notebooks';
import type { Part, Parts, Run, Task } from './protocol';
import { type Line, magicLine, runLine } from './words';

const ALL = 'All environments';

/** Does what buttons and commands ask for. */
export class Actions {
  /**
   * @param notebooks - the notebooks.
   * @param asksFirst - says whether to ask before something of a living kernel may be removed.
   */
  constructor(
    readonly notebooks: Notebooks,
    private readonly asksFirst: () => boolean
  ) {}

  async goTo(cell: string | null, what: string): Promise<void> {
    if (!(await this.notebooks.goTo(cell))) {
      Notification.info(
        `${what} was not declared in a cell of this notebook that is still there.`,
        { autoClose: 5000 }
      );
    }
  }

  write(line: Line): Promise<void> {
    return this.notebooks.write(line);
  }

  run(task: Task): Promise<void> {
    return this.write(runLine(task.call));
  }

  launch(task: string): Promise<void> {
    return this.write(magicLine('flyte_launch', task));
  }

  panel(environment = ''): Promise<void> {
    return this.write(magicLine('flyte_panel', environment));
  }

  logs(names: string): Promise<void> {
    return this.write(magicLine('flyte_logs', names));
  }

  graph(): Promise<void> {
    return this.write(magicLine('flyte_graph'));
  }

  /** Ask which task, and run it. */
  async chooseAndRun(): Promise<void> {
    const task = await this.chooseTask('Run a task');
    if (task) {
      await this.run(task);
    }
  }

  /** Ask which task, and open its form. */
  async chooseAndLaunch(): Promise<void> {
    const task = await this.chooseTask('Launch a task by a form');
    if (task) {
      await this.launch(task.name);
    }
  }

  /** Ask which environment, and deploy it. */
  async chooseAndDeploy(): Promise<void> {
    const rows = await this.rows('environments');
    if (rows === null) {
      return;
    }
    const names = rows.map(environment => environment.name);
    const chosen = await choose('Deploy', [ALL, ...names], NO_ENVIRONMENT);
    if (chosen !== null) {
      await this.write(magicLine('flyte_deploy', chosen === ALL ? '' : chosen));
    }
  }

  /** Ask which run, and cancel it. */
  async chooseAndCancel(): Promise<void> {
    const rows = await this.rows('runs');
    if (rows === null) {
      return;
    }
    const name = await choose(
      'Cancel a run',
      rows.filter(run => run.goes_on && run.mine).map(run => run.name),
      'Nothing of this notebook runs.'
    );
    if (name !== null) {
      await this.cancel(name);
    }
  }

  /** Cancel a run of a kernel, that of the current notebook if none is given. */
  async cancel(run: Run['name'], connection?: Connection | null): Promise<boolean> {
    return this.ask('cancel', { run }, connection);
  }

  async clean(): Promise<void> {
    await this.ask('clean', { names: [] });
  }

  /** Remove something whose owner may live. */
  async remove(name: string): Promise<void> {
    if (this.asksFirst()) {
      const { button } = await showDialog({
        title: `Remove ${name}?`,
        body: 'Whether the kernel that made it still lives cannot be seen from here.',
        buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: 'Remove' })]
      });
      if (!button.accept) {
        return;
      }
    }
    await this.ask('clean', { names: [name] });
  }

  async refresh(parts: readonly Part[]): Promise<void> {
    await this.ask('refresh', { parts: [...parts] });
  }

  private async ask(
    op: string,
    fields: JSONObject,
    connection: Connection | null = this.notebooks.connection
  ): Promise<boolean> {
    try {
      if (connection === null) {
        throw new Error('No notebook is open.');
      }
      const said = await connection.ask(op, fields);
      if (!said.ok) {
        Notification.error(said.message, { autoClose: 8000 });
      } else if (said.message) {
        Notification.success(said.message, { autoClose: 3000 });
      }
      return said.ok;
    } catch (error) {
      Notification.error(String((error as Error).message), { autoClose: 8000 });
      return false;
    }
  }

  /** Return a part as it is now; nothing, and the reason is shown, where nobody tells it. */
  private async rows<P extends Part>(part: P): Promise<Parts[P] | null> {
    try {
      const { connection } = this.notebooks;
      if (connection === null) {
        throw new Error('No notebook is open.');
      }
      return await connection.fresh(part);
    } catch (error) {
      Notification.error((error as Error).message, { autoClose: 8000 });
      return null;
    }
  }

  private async chooseTask(title: string): Promise<Task | null> {
    const rows = await this.rows('environments');
    if (rows === null) {
      return null;
    }
    const tasks = rows.flatMap(environment => environment.tasks);
    const name = await choose(
      title,
      tasks.map(task => task.name),
      'No task is declared yet: begin a cell with %%flyte_env NAME.'
    );
    return tasks.find(task => task.name === name) ?? null;
  }
}

const NO_ENVIRONMENT =
  'No environment is declared yet: begin a cell with %%flyte_env NAME.';

async function choose(
  title: string,
  items: string[],
  nothing: string
): Promise<string | null> {
  if (items.filter(item => item !== ALL).length === 0) {
    Notification.info(nothing, { autoClose: 5000 });
    return null;
  }
  const { value, button } = await InputDialog.getItem({ title, items });
  return button.accept ? value : null;
}
