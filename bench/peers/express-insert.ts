import { Pool } from 'pg';
import { serve } from './express-app.js';
import { insertEvent } from './insert-event.js';
import { databaseUrl } from './settings.js';

/** The documented way: one INSERT for each request through a pool. */
const pool = new Pool({ connectionString: databaseUrl });

serve((parameters) => insertEvent(pool, parameters));
