import { callbackOf, failureOf } from '../callbacks.js';
import { Callbacks, type LoadMessage, runTurn, type Turn } from './run-turn.js';

/** The load generator: a separate process that signs its callbacks once and then runs turns for its parent. */
const [count, kind] = process.argv.slice(2);
const callbacks = new Callbacks(Number(count), kind === 'failures' ? failureOf : callbackOf);

process.on('message', (turn: Turn) => {
  runTurn(turn, callbacks).then(
    (result) => {
      tell({ type: 'result', result });
    },
    (error: unknown) => {
      tell({ type: 'failed', message: error instanceof Error ? error.message : String(error) });
    },
  );
});
process.on('disconnect', () => process.exit());

tell({ type: 'ready' });

function tell(message: LoadMessage): void {
  process.send?.(message);
}
