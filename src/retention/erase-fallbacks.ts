/**
 * SQL that takes the number, the text and what Twilio said out of fallbacks, and keeps the rows: they are what keeps a
 * second SMS from being sent, and what is counted.
 * @param found selects the ids of fallbacks that are at an end, and locks them: an open one needs its number and its text.
 */
export const eraseFallbacks = (found: string) => `
with found as (${found}),
erased as (
  update sms_fallbacks set to_number = null, user_id = null, parent_user_id = null, body = null, last_error = null,
         erased_at = now()
    from found where sms_fallbacks.id = found.id
  returning found.id
)
select count(*)::int as rows from erased`;
