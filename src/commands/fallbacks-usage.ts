export const usage = `Looks at the SMS fallbacks, and tries them again.

  npm run fallbacks -- list [filter] [--limit 50]     the newest first
  npm run fallbacks -- show <name>                    everything about one, with its events
  npm run fallbacks -- retry <name> …                 tries these again
  npm run fallbacks -- retry <filter>                 tries those again that failed or were skipped; asks before

  <name>       the id of a fallback, or the SID of the original message or of its SMS

  filter:
  --state      claimed, sending, uncertain, sent, skipped, failed; several with commas
  --reason     e.g. twilio_unavailable; several with commas
  --since      claimed since then: 2026-01-31T10:00Z, or 30m, 2h, 3d, 1w ago
  --until      claimed before then

  --json       for a program to read
  --numbers    whole telephone numbers, instead of their last four digits
  --dry-run    retry: only says what would be done
  --yes        retry: does not ask
  --ignore-age retry: sends the SMS however old the WhatsApp message is (FALLBACK_MAX_AGE_MINUTES)

Trying again never sends a second SMS: one that was sent is left alone, and where an SMS may have gone, that is found
out first. The service does the sending; this command needs its database only (DATABASE_URL, or .env).
Exit codes: 0 done, 1 not done, 2 not understood.`;
