/** The plugin: the side bar, its commands and settings, for JupyterLab and for Notebook 7. */

import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { ICompletionProviderManager } from '@jupyterlab/completer';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';

import { Actions } from './actions';
import { hearCancelButtons } from './cancel';
import { BusyCompleter } from './completer';
import { flyteIcon } from './icon';
import { hearLogButtons } from './logs';
import { Notebooks } from './notebooks';
import { SideBar } from './sidebar';

const ID = 'flyte-jupyter:plugin';
const CATEGORY = 'Flyte';
const OPEN = 'flyte-jupyter:open';

/** What people can set. */
interface Settings {
  side: 'left' | 'right';
  completeWhileBusy: boolean;
  confirmRemoval: boolean;
}

const DEFAULTS: Settings = {
  side: 'right',
  completeWhileBusy: true,
  confirmRemoval: true
};

const plugin: JupyterFrontEndPlugin<void> = {
  id: ID,
  description:
    'Shows environments, runs and targets of a notebook beside it, and acts on them.',
  autoStart: true,
  requires: [INotebookTracker],
  optional: [
    ICommandPalette,
    ICompletionProviderManager,
    ILayoutRestorer,
    ISettingRegistry
  ],
  activate: async (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    palette: ICommandPalette | null,
    completers: ICompletionProviderManager | null,
    restorer: ILayoutRestorer | null,
    registry: ISettingRegistry | null
  ): Promise<void> => {
    const settings = { ...DEFAULTS };
    const notebooks = new Notebooks(tracker);
    const actions = new Actions(notebooks, () => settings.confirmRemoval);
    const sidebar = new SideBar(actions);
    addCommands(app, palette, actions, sidebar);
    hearCancelButtons(actions);
    hearLogButtons(actions);
    completers?.registerProvider(
      new BusyCompleter(notebooks, () => settings.completeWhileBusy)
    );
    restorer?.add(sidebar, sidebar.id);
    await follow(registry, settings);
    app.shell.add(sidebar, settings.side, { rank: 600, type: 'Flyte' });
  }
};

/** Take over what is set, now and whenever it changes. */
async function follow(
  registry: ISettingRegistry | null,
  settings: Settings
): Promise<void> {
  try {
    const loaded = await registry?.load(ID);
    const take = () => Object.assign(settings, loaded?.composite ?? {});
    take();
    loaded?.changed.connect(take);
  } catch (error) {
    // what cannot be read is as it is by default
    console.warn(`The settings of ${ID} cannot be read.`, error);
  }
}

function addCommands(
  app: JupyterFrontEnd,
  palette: ICommandPalette | null,
  actions: Actions,
  sidebar: SideBar
): void {
  const hasNotebook = () => actions.notebooks.current !== null;
  const isOpen = () => actions.notebooks.connection?.state === 'open';
  const commands: [string, string, () => unknown, () => boolean][] = [
    [OPEN, 'Show the Side Bar', () => app.shell.activateById(sidebar.id), () => true],
    ['flyte-jupyter:run', 'Run a Task…', () => actions.chooseAndRun(), isOpen],
    ['flyte-jupyter:launch', 'Launch a Task by a Form…', () => actions.chooseAndLaunch(), isOpen],
    ['flyte-jupyter:deploy', 'Deploy…', () => actions.chooseAndDeploy(), isOpen],
    ['flyte-jupyter:panel', 'Panel of the Environments', () => actions.panel(), hasNotebook],
    ['flyte-jupyter:graph', 'Graph of the Environments', () => actions.graph(), hasNotebook],
    ['flyte-jupyter:cancel', 'Cancel a Run…', () => actions.chooseAndCancel(), isOpen]
  ];
  for (const [id, name, execute, isEnabled] of commands) {
    app.commands.addCommand(id, {
      label: `Flyte: ${name}`,
      caption: `Flyte: ${name}`,
      ...(id === OPEN ? { icon: flyteIcon } : {}),
      execute: () => execute(),
      isEnabled
    });
    palette?.addItem({ command: id, category: CATEGORY });
  }
  actions.notebooks.changed.connect(() => app.commands.notifyCommandChanged());
}

export default plugin;
