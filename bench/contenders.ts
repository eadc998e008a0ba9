/** A measured server. */
export interface Contender {
  /** The letter in the documentation. */
  readonly letter: string;
  readonly name: string;
  /** The compiled program, from the folder of the compiled bench. */
  readonly program: string;
  /** Whether it stores callbacks: if so, it has a database, and each callback that it answered 204 must be a row. */
  readonly stores: boolean;
  /** Whether the application has a row in `messages` for each callback's message, which must then be updated. */
  readonly hasMessages?: boolean;
}

/** The baseline of every ratio. */
export const BASELINE = 'b';

export const THIS_SERVICE: Contender = {
  letter: 'a',
  name: 'this service',
  program: '../src/main.js',
  stores: true,
};

export const CONTENDERS: readonly Contender[] = [
  THIS_SERVICE,
  {
    letter: 'b',
    name: 'Express, twilio.webhook(), an INSERT each',
    program: 'peers/express-insert.js',
    stores: true,
  },
  { letter: 'c', name: 'Nest, TypeORM save()', program: 'peers/nest-typeorm.js', stores: true },
  {
    letter: 'd',
    name: 'Nest, signature guard, nothing stored',
    program: 'peers/nest-guard.js',
    stores: false,
  },
  { letter: 'e', name: 'node:http, signature, nothing stored', program: 'peers/node-http.js', stores: false },
  { ...THIS_SERVICE, letter: 'g', name: 'this service, each message in messages', hasMessages: true },
];

/** Other ways to send the SMS of a policy failure. Only `storm` measures them. */
export const SMS_PEERS: readonly Contender[] = [
  { letter: 'p1', name: 'Express, SMS before the 204', program: 'peers/express-send.js', stores: true },
  { letter: 'p2', name: 'Express, pg-boss, 50 at once', program: 'peers/express-pg-boss.js', stores: true },
];

export const PGBENCH = { letter: 'f', name: 'pgbench, the same INSERT, no HTTP' } as const;

/** Measures the load generator. */
export const CONSTANT_ANSWER: Contender = {
  letter: '-',
  name: 'a constant answer, nothing read',
  program: 'peers/constant-answer.js',
  stores: false,
};
