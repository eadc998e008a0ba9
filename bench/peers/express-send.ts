import { Pool } from 'pg';
import { serve } from './express-app.js';
import { insertEvent } from './insert-event.js';
import { refusedMessageOf, sendSms } from './send-sms.js';
import { databaseUrl } from './settings.js';

/** The documented way: the handler stores the callback, sends the SMS, and then answers. */
const pool = new Pool({ connectionString: databaseUrl });

serve(async (parameters) => {
  const isNew = await insertEvent(pool, parameters);
  const refused = refusedMessageOf(parameters);
  if (isNew && refused !== undefined) await sendSms(pool, refused);
});
