/** The boundaries of docs/architecture.md: dependencies point one way, and nothing reaches around them. */

/** What each folder of src/ may import, besides itself. Anything that is not named here may not be imported. */
const allowed = {
  config: [],
  process: ['config'],
  database: ['config', 'domain-events', 'process'],
  twilio: ['process'],
  'domain-events': ['process'],
  messages: ['process'],
  'message-events': ['domain-events', 'messages', 'process'],
  webhooks: ['message-events', 'process', 'twilio'],
  follower: ['messages', 'process'],
  fallback: ['domain-events', 'follower', 'message-events', 'messages', 'process', 'twilio'],
  'status-polling': ['follower', 'message-events', 'messages', 'process', 'twilio'],
  health: ['domain-events', 'process'],
  retention: ['domain-events', 'message-events', 'process'],
  operations: [
    'domain-events',
    'fallback',
    'follower',
    'message-events',
    'messages',
    'process',
    'twilio',
    'webhooks',
  ],
  dashboard: ['operations', 'process', 'twilio'],
  commands: [
    'operations',
    'config',
    'database',
    'domain-events',
    'fallback',
    'follower',
    'message-events',
    'messages',
    'process',
    'retention',
    'twilio',
  ],
};

/** A browser finds a library by the address at which the service has it, and there is no such file. */
const SERVED_BY_THE_SERVICE = '^\\./vendor/(lit-html|directives/repeat)\\.js$';

const boundaries = Object.entries(allowed).map(([folder, others]) => ({
  name: `${folder}-imports-only-${others.join('-and-') || 'itself'}`,
  severity: 'error',
  from: { path: `^src/${folder}/` },
  to: {
    path: '^(src/[^/]+/|simulator/|harness/|chaos/|test/|bench/)',
    pathNot: [
      `^src/(${[folder, ...others].join('|')})/`,
      // The one list of entities that the data source is made of.
      ...(folder === 'database' ? ['\\.entity\\.ts$'] : []),
      // The names of the states, for whoever looks at the table.
      '^src/fallback/sms-fallback-state\\.ts$',
      ...(folder === 'retention'
        ? ['^src/fallback/fallback\\.sql\\.ts$', '^src/webhooks/rejected-callbacks\\.store\\.ts$']
        : []),
      // What the service writes into the application's tables, to be tried before the start.
      ...(folder === 'database'
        ? ['^src/messages/application-tables\\.ts$', '^src/messages/message-status\\.ts$']
        : []),
    ],
  },
}));

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...boundaries,
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'the-service-never-imports-the-simulator-or-tests',
      severity: 'error',
      from: { path: '^(src|migrations|ormconfig)' },
      to: { path: '^(simulator|harness|chaos|test|bench)/' },
    },
    {
      name: 'the-simulator-never-imports-the-service',
      comment: 'The demo runs both, so it is the one exception.',
      severity: 'error',
      from: { path: '^simulator/', pathNot: '^simulator/demo/' },
      to: { path: '^src/' },
    },
    {
      name: 'only-tests-import-the-testing-entry',
      severity: 'error',
      from: { pathNot: '^(testing|test)/' },
      to: { path: '^testing/' },
    },
    {
      name: 'the-testing-entry-imports-only-the-service-and-the-simulator',
      severity: 'error',
      from: { path: '^testing/' },
      to: { path: '^(simulator/demo|harness|chaos|test|bench|dashboard)/' },
    },
    {
      name: 'the-page-knows-the-service-from-outside-only',
      severity: 'error',
      from: { path: '^dashboard/' },
      to: { pathNot: `^dashboard/|^node_modules/lit-html/|${SERVED_BY_THE_SERVICE}` },
    },
    {
      name: 'the-service-runs-nothing-of-the-page',
      severity: 'error',
      from: { pathNot: '^(dashboard|test)/' },
      to: { path: '^dashboard/' },
    },
    {
      name: 'chaos-knows-the-service-from-outside-only',
      severity: 'error',
      from: { path: '^chaos/' },
      to: { path: '^(src|test|bench)/' },
    },
    {
      name: 'the-bench-knows-the-service-from-outside-only',
      severity: 'error',
      from: { path: '^bench/' },
      to: { path: '^(src|test|chaos)/' },
    },
    {
      name: 'the-harness-knows-neither-the-service-nor-its-users',
      severity: 'error',
      from: { path: '^harness/' },
      to: { path: '^(src|test|chaos|bench)/' },
    },
    {
      name: 'not-to-dev-dependencies',
      severity: 'error',
      from: { path: '^(src|dashboard|migrations|testing|simulator/(?!demo/))/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'not-to-unresolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true, pathNot: SERVED_BY_THE_SERVICE },
    },
    {
      name: 'no-orphans',
      severity: 'error',
      from: {
        orphan: true,
        pathNot: [
          '\\.d\\.ts$',
          '^test/',
          'startup-error\\.ts$',
          '^src/(index|migrations)\\.ts$',
          '^dashboard/(arrival|sign-in)\\.ts$',
        ],
      },
      to: {},
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.js'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
};
