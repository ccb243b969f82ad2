/** Words for what is shown: lengths of time, phases, and the lines that commands write. */

/** Say a length of time as the kernel does: `20 ms`, `1.4 s`, `3 min 20 s`. */
export function lasting(seconds: number): string {
  if (seconds < 0.9995) {
    return `${Math.max(0, seconds * 1000).toFixed(0)} ms`;
  }
  if (seconds < 9.95) {
    return `${seconds.toFixed(1)} s`;
  }
  const whole = Math.round(seconds);
  if (whole < 60) {
    return `${whole} s`;
  }
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) {
    return `${minutes} min ${whole % 60} s`;
  }
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Say how long a run goes on: whole seconds, for what is shown every second. */
export function goingOn(created: number, now: number): string {
  const seconds = Math.max(0, Math.floor(now - created));
  return seconds < 60 ? `${seconds} s` : lasting(seconds);
}

const SIGNS: Record<string, string> = {
  queued: '○',
  preparing: '◔',
  waiting: '◑',
  running: '▶',
  succeeded: '✓',
  failed: '✗',
  aborted: '⊘',
  timed_out: '⌛',
  lost: '?'
};

/** Return a sign for a phase, so that its colour is never alone. */
export function sign(phase: string): string {
  return SIGNS[phase] ?? '·';
}

/** Return a phase as words: `timed out`. */
export function phaseWords(phase: string): string {
  return phase.replace(/_/g, ' ');
}

/** A line for a cell, and where the cursor goes if something is left to be written. */
export interface Line {
  readonly text: string;
  /** Place in the text; nothing where it can be executed as it is. */
  readonly cursor: number | null;
}

/**
 * Return the line that runs a task.
 *
 * @param call - with a place for each input that has to be given: `ml.square(x=)`.
 */
export function runLine(call: string): Line {
  const text = `%flyte_run ${call}`;
  const place = text.indexOf('=');
  return { text, cursor: place < 0 ? null : place + 1 };
}

/**
 * Return the line of another magic.
 *
 * @param magic - without its percent sign.
 * @param names - that it takes; those that are empty are left out.
 */
export function magicLine(magic: string, ...names: string[]): Line {
  const words = [`%${magic}`, ...names.filter(name => name !== '')];
  return { text: words.join(' '), cursor: null };
}

/** Say whether some source has to do with this package, so that its kernel may be asked. */
export function mentionsFlyte(source: string): boolean {
  return /flyte/i.test(source);
}
