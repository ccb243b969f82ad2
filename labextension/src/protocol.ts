/** What the kernel says, checked at the door; `flyte_jupyter/notebook/comm/protocol.py` is its twin. */

/** Name of the comm target that the kernel registers. */
export const TARGET = 'flyte_jupyter';
/** Of the protocol. */
export const VERSION = 1;
/** So often a front end says again what it watches; the kernel forgets a silent one. */
export const HEARTBEAT = 300_000;

export interface Task {
  readonly name: string;
  readonly label: string;
  readonly cell: string | null;
  readonly origin: string;
  readonly call: string;
}

export interface Environment {
  readonly name: string;
  readonly cell: string | null;
  readonly origin: string;
  readonly target: string;
  readonly image: string;
  readonly image_state: string;
  readonly resources: string;
  readonly accelerator: string;
  readonly overridden: readonly string[];
  readonly deployed: string;
  readonly tasks: readonly Task[];
}

export interface Run {
  readonly name: string;
  readonly task: string;
  readonly target: string;
  readonly phase: string;
  readonly goes_on: boolean;
  readonly mine: boolean;
  readonly created: number;
  readonly seconds: number | null;
  readonly calls: string;
  readonly error: string;
}

export interface Target {
  readonly name: string;
  readonly default: boolean;
  readonly rows: readonly { readonly what: string; readonly amount: string }[];
  readonly trouble: string;
}

export interface Leftover {
  readonly name: string;
  readonly target: string;
  readonly kind: string;
  readonly what: string;
  readonly state: string;
  readonly age: string;
  readonly memory: string;
  readonly dead: boolean;
}

/** The rows of each part. */
export interface Parts {
  environments: readonly Environment[];
  runs: readonly Run[];
  targets: readonly Target[];
  leftovers: readonly Leftover[];
}

export type Part = keyof Parts;

export const PARTS: readonly Part[] = [
  'environments',
  'runs',
  'targets',
  'leftovers'
];

/** One part, as the kernel has told it. */
export interface Told<P extends Part> {
  readonly rows: Parts[P];
  readonly trouble: string;
}

export interface Answer {
  readonly op: 'answer';
  readonly id: number;
  readonly ok: boolean;
  readonly message: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface Snapshot {
  readonly op: 'snapshot';
  readonly part: Part;
  readonly told: Told<Part>;
}

/** Return what the kernel has said, or nothing where it is none of what is known here. */
export function read(said: unknown): Answer | Snapshot | null {
  if (!isObject(said)) {
    return null;
  }
  if (said.op === 'answer' && typeof said.id === 'number') {
    return {
      op: 'answer',
      id: said.id,
      ok: said.ok === true,
      message: typeof said.message === 'string' ? said.message : '',
      data: isObject(said.data) ? said.data : {}
    };
  }
  if (said.op === 'snapshot' && isPart(said.part) && isObject(said.data)) {
    const rows = said.data[said.part];
    if (!Array.isArray(rows) || !rows.every(isObject)) {
      return null;
    }
    const { trouble } = said.data;
    return {
      op: 'snapshot',
      part: said.part,
      told: {
        rows: rows as unknown as Parts[Part],
        trouble: typeof trouble === 'string' ? trouble : ''
      }
    };
  }
  return null;
}

function isPart(said: unknown): said is Part {
  return PARTS.includes(said as Part);
}

function isObject(said: unknown): said is Record<string, unknown> {
  return typeof said === 'object' && said !== null && !Array.isArray(said);
}
