/** The notebooks that are open, each with the connection to its kernel, and their cells. */

import {
  type INotebookTracker,
  NotebookActions,
  type NotebookPanel
} from '@jupyterlab/notebook';
import { MessageLoop } from '@lumino/messaging';
import { type ISignal, Signal } from '@lumino/signaling';

import { Connection } from './connection';
import { type Line, mentionsFlyte } from './words';

/** Follows the open notebooks. */
export class Notebooks {
  constructor(private readonly tracker: INotebookTracker) {
    tracker.forEach(panel => this.take(panel));
    tracker.widgetAdded.connect((_, panel) => this.take(panel));
    tracker.currentChanged.connect(() => this._changed.emit());
    // a page that is closed says so, and the kernel reads and sends nothing more for it
    window.addEventListener('pagehide', () => {
      this._connections.forEach(connection => connection.leave());
    });
    NotebookActions.executed.connect((_, { notebook }) => {
      // what was executed may have loaded the extension
      const panel = tracker.find(each => each.content === notebook);
      if (panel) {
        this._connections.get(panel)?.attempt();
      }
    });
  }

  /** Another notebook is looked at, or something of its connection has changed. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The notebook that is looked at. */
  get current(): NotebookPanel | null {
    return this.tracker.currentWidget;
  }

  /** The connection to its kernel. */
  get connection(): Connection | null {
    return this.current ? (this._connections.get(this.current) ?? null) : null;
  }

  /** Return the connection of the notebook that shows an element. */
  connectionOf(element: Element): Connection | null {
    const panel = this.tracker.find(each => each.node.contains(element));
    return (panel && this._connections.get(panel)) ?? this.connection;
  }

  /** Return the connection of a notebook. */
  connectionTo(panel: NotebookPanel): Connection | null {
    return this._connections.get(panel) ?? null;
  }

  /**
   * Show a cell and put the cursor on it.
   *
   * @param id - of the cell.
   * @returns whether it is there.
   */
  async goTo(id: string | null): Promise<boolean> {
    const panel = this.current;
    const notebook = panel?.content;
    const place =
      notebook?.widgets.findIndex(cell => cell.model.id === id) ?? -1;
    if (!panel || !notebook || place < 0) {
      return false;
    }
    notebook.activeCellIndex = place;
    notebook.deselectAll();
    const cell = notebook.widgets[place];
    if (cell) {
      await notebook.scrollToCell(cell);
    }
    panel.activate();
    return true;
  }

  /**
   * Write a line into a cell below the active one, and execute it if nothing is left to write.
   *
   * @param line - what to write.
   */
  async write(line: Line): Promise<void> {
    const panel = this.current;
    if (!panel) {
      return;
    }
    const notebook = panel.content;
    const active = notebook.activeCell?.model;
    if (active?.type !== 'code' || active.sharedModel.getSource() !== '') {
      NotebookActions.insertBelow(notebook);
    }
    notebook.activeCell?.model.sharedModel.setSource(line.text);
    panel.activate();
    if (line.cursor === null) {
      await NotebookActions.run(notebook, panel.sessionContext);
      return;
    }
    const cell = notebook.activeCell;
    await cell?.ready;
    // the notebook takes the focus in its own time, and would leave the cell again
    MessageLoop.flush();
    await new Promise(resolve => setTimeout(resolve, 0));
    notebook.mode = 'edit';
    cell?.editor?.setCursorPosition({ line: 0, column: line.cursor });
    cell?.editor?.focus();
  }

  private take(panel: NotebookPanel): void {
    const connection = new Connection(
      panel.sessionContext,
      () =>
        Array.from(panel.content.model?.cells ?? []).some(
          cell =>
            cell.type === 'code' && mentionsFlyte(cell.sharedModel.getSource())
        ),
      () =>
        panel.content.widgets.some(cell =>
          cell.inputArea?.promptNode?.textContent?.includes('*')
        )
    );
    this._connections.set(panel, connection);
    connection.changed.connect(() => this._changed.emit());
    panel.disposed.connect(() => {
      this._connections.delete(panel);
      connection.dispose();
      this._changed.emit();
    });
    void panel.context.ready.then(() => connection.attempt());
  }

  private readonly _connections = new Map<NotebookPanel, Connection>();
  private readonly _changed = new Signal<this, void>(this);
}
