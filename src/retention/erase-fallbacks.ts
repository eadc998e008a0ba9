/**
 * SQL that erases the number, the text and Twilio's messages from fallbacks. It keeps the rows, because they prevent a
 * second SMS and are counted.
 * @param found selects and locks the ids of ended fallbacks: an open one needs its number and text.
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
