/** Completions while a cell runs: asked for through our comm, which a subshell answers. */

import type {
  CompletionHandler,
  ICompletionContext,
  ICompletionProvider
} from '@jupyterlab/completer';
import type { NotebookPanel } from '@jupyterlab/notebook';

import type { Notebooks } from './notebooks';

interface Match {
  readonly text: string;
  readonly type: string;
}

/** Completes where the kernel's own completer would wait for the cell. */
export class BusyCompleter implements ICompletionProvider {
  readonly identifier = 'flyte-jupyter:while-busy';
  readonly renderer = null;

  /**
   * @param notebooks - the notebooks.
   * @param wanted - says whether somebody wants it.
   */
  constructor(
    private readonly notebooks: Notebooks,
    private readonly wanted: () => boolean
  ) {}

  isApplicable(context: ICompletionContext): Promise<boolean> {
    const connection = this.connection(context);
    return Promise.resolve(
      connection !== null &&
        this.wanted() &&
        connection.state === 'open' &&
        connection.busy &&
        connection.actsWhileBusy
    );
  }

  async fetch(
    request: CompletionHandler.IRequest,
    context: ICompletionContext
  ): Promise<CompletionHandler.ICompletionItemsReply> {
    const nothing = { start: request.offset, end: request.offset, items: [] };
    const connection = this.connection(context);
    if (!connection) {
      return nothing;
    }
    // the kernel counts characters, and JavaScript counts some of them twice
    const cursor = [...request.text.slice(0, request.offset)].length;
    const { ok, data } = await connection.ask('complete', {
      code: request.text,
      cursor
    });
    if (!ok || !Array.isArray(data.matches)) {
      return nothing;
    }
    const characters = [...request.text];
    const place = (said: unknown) =>
      characters.slice(0, Number(said)).join('').length;
    return {
      start: place(data.start),
      end: place(data.end),
      items: (data.matches as Match[]).map(match => ({
        label: match.text,
        insertText: match.text,
        type: match.type
      }))
    };
  }

  private connection(context: ICompletionContext) {
    return this.notebooks.connectionTo(context.widget as NotebookPanel);
  }
}
