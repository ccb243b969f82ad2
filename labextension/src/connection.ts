/** The comm with one kernel: opened when its notebook has to do with us, and opened again. */

import type { ISessionContext } from '@jupyterlab/apputils';
import type { Kernel, KernelMessage } from '@jupyterlab/services';
import type { JSONObject } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';
import { type ISignal, Signal } from '@lumino/signaling';

import {
  type Answer,
  HEARTBEAT,
  type Part,
  type Parts,
  TARGET,
  type Told,
  VERSION,
  read
} from './protocol';

/** Milliseconds for a subshell to be there. */
const SUBSHELL = 3000;
/** Milliseconds for an answer that a person waits for. */
const PATIENCE = 5000;

export type State = 'no kernel' | 'not loaded' | 'opening' | 'open' | 'refused';

interface Waiting {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

/** The comm of the kernel that a notebook has now. */
export class Connection implements IDisposable {
  /**
   * @param context - the notebook's session, whose kernel may change.
   * @param concerns - says whether the notebook has to do with us: others are left alone.
   * @param executes - says whether a cell is executed, or waits for that.
   */
  constructor(
    private readonly context: ISessionContext,
    private readonly concerns: () => boolean,
    private readonly executes: () => boolean
  ) {
    context.kernelChanged.connect(this.kernelChanged, this);
    context.statusChanged.connect(this.statusChanged, this);
    void context.ready.then(() => this.attempt());
  }

  /** Something of it has changed. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get state(): State {
    return this._state;
  }

  /** What stands against it, in a sentence; empty if nothing does. */
  get trouble(): string {
    return this._trouble;
  }

  /** Whether it is answered while a cell is executed. */
  get actsWhileBusy(): boolean {
    return this._actsWhileBusy;
  }

  /**
   * Whether the kernel executes a cell.
   *
   * What a subshell answers makes the kernel's status idle, though the main shell is not.
   */
  get busy(): boolean {
    return this.context.session?.kernel?.status === 'busy' || this.executes();
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** Return a part as it was told last. */
  told<P extends Part>(part: P): Told<P> | null {
    return (this._told.get(part) as Told<P> | undefined) ?? null;
  }

  /**
   * Say which parts are looked at.
   *
   * @param parts - nothing of the others is read or sent.
   */
  watch(parts: readonly Part[]): void {
    this._parts = parts;
    this.sayWhatIsWatched();
  }

  /**
   * Ask the kernel.
   *
   * @param op - what for.
   * @param fields - of the question.
   * @returns its answer, which may say that it was not done.
   * @throws where the kernel is not there, or goes before it has answered.
   */
  ask(op: string, fields: JSONObject = {}): Promise<Answer> {
    const comm = this._comm;
    if (comm === null || comm.isDisposed) {
      return Promise.reject(new Error(NOT_LOADED));
    }
    const id = ++this._number;
    return new Promise((resolve, reject) => {
      this._waiting.set(id, { resolve, reject });
      comm.send({ op, id, ...fields });
    });
  }

  /**
   * Return the rows of a part as they are now, whether it is looked at or not.
   *
   * @param part - the part.
   * @throws where the kernel is not there or does not answer.
   */
  async fresh<P extends Part>(part: P): Promise<Parts[P]> {
    const told = new Promise<void>((resolve, reject) => {
      const give = () => {
        this._news.disconnect(hear);
        reject(new Error('The kernel does not answer; it executes a cell.'));
      };
      const timer = setTimeout(give, PATIENCE);
      const hear = (_: this, news: Part) => {
        if (news === part) {
          clearTimeout(timer);
          this._news.disconnect(hear);
          resolve();
        }
      };
      this._news.connect(hear);
    });
    told.catch(() => undefined); // where asking fails, nobody waits for it
    await this.ask('refresh', { parts: [part] });
    await told;
    return this.told(part)?.rows ?? ([] as unknown as Parts[P]);
  }

  /** Open it, if it is not and the kernel may be ours. */
  attempt(): void {
    const kernel = this.context.session?.kernel ?? null;
    if (this._isDisposed || this._comm !== null) {
      return;
    }
    if (kernel === null) {
      this.become('no kernel');
    } else if (this.concerns()) {
      void this.open(kernel).catch(error => {
        this._comm = null;
        this.become('not loaded', String(error));
      });
    } else {
      this.become('not loaded');
    }
  }

  /** Tell the kernel that nobody looks on any more. */
  leave(): void {
    const comm = this._comm;
    if (comm !== null && !comm.isDisposed && this.context.session?.kernel) {
      void comm.close();
    }
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      this.leave();
      this.drop('The notebook was closed.');
      Signal.clearData(this);
    }
  }

  private async open(kernel: Kernel.IKernelConnection): Promise<void> {
    const comm = kernel.createComm(TARGET);
    this._comm = comm;
    this.become('opening');
    comm.onMsg = message => this.heard(message);
    comm.onClose = () => this.closed(comm);
    // a JupyterLab before 4.4 has no subshells, and a kernel may have none
    const { subshellStarted } = comm as { subshellStarted?: Promise<void> };
    if (kernel.supportsSubshells && subshellStarted) {
      await Promise.race([
        subshellStarted,
        new Promise(resolve => setTimeout(resolve, SUBSHELL))
      ]);
    }
    if (this._comm !== comm || comm.isDisposed) {
      return;
    }
    comm.open();
    const said = await this.ask('hello', { version: VERSION }).catch(
      () => null
    );
    if (this._comm !== comm || said === null) {
      return;
    }
    this._actsWhileBusy = said.data.acts_while_busy === true;
    this.become(said.ok ? 'open' : 'refused', said.message);
    if (said.ok) {
      this._heartbeat = setInterval(() => this.sayWhatIsWatched(), HEARTBEAT);
      this.sayWhatIsWatched();
    }
  }

  private sayWhatIsWatched(): void {
    if (this._state === 'open') {
      this.ask('watch', { parts: [...this._parts] }).catch(() => undefined);
    }
  }

  private heard(message: KernelMessage.ICommMsgMsg): void {
    const said = read(message.content.data);
    if (said?.op === 'answer') {
      const waiting = this._waiting.get(said.id);
      this._waiting.delete(said.id);
      waiting?.resolve(said);
    } else if (said?.op === 'snapshot') {
      this._told.set(said.part, said.told);
      this._news.emit(said.part);
      this._changed.emit();
    }
  }

  private closed(comm: Kernel.IComm): void {
    if (this._comm === comm) {
      this.drop(NOT_LOADED);
      this.become('not loaded');
    }
  }

  private kernelChanged(): void {
    this.drop('The kernel was changed.');
    this.attempt();
  }

  private statusChanged(_: ISessionContext, status: Kernel.Status): void {
    if (['restarting', 'autorestarting', 'terminating', 'dead'].includes(status)) {
      this.drop('The kernel was restarted.');
      this.become(this.context.session?.kernel ? 'not loaded' : 'no kernel');
    }
    this._changed.emit();
  }

  private drop(why: string): void {
    const comm = this._comm;
    this._comm = null;
    clearInterval(this._heartbeat);
    this._told.clear();
    this._actsWhileBusy = false;
    const waiting = [...this._waiting.values()];
    this._waiting.clear();
    waiting.forEach(each => each.reject(new Error(why)));
    if (comm !== null && !comm.isDisposed) {
      comm.onClose = () => undefined;
      // to a kernel that is gone nothing can be said
      comm.dispose();
    }
  }

  private become(state: State, trouble = ''): void {
    this._state = state;
    this._trouble = trouble;
    if (!this._isDisposed) {
      this._changed.emit();
    }
  }

  private _comm: Kernel.IComm | null = null;
  private _state: State = 'no kernel';
  private _trouble = '';
  private _actsWhileBusy = false;
  private _isDisposed = false;
  private _number = 0;
  private _parts: readonly Part[] = [];
  private _heartbeat: ReturnType<typeof setInterval> | undefined;
  private readonly _told = new Map<Part, Told<Part>>();
  private readonly _waiting = new Map<number, Waiting>();
  private readonly _news = new Signal<this, Part>(this);
  private readonly _changed = new Signal<this, void>(this);
}

const NOT_LOADED =
  'The kernel has not loaded flyte_jupyter: run %load_ext flyte_jupyter.';
