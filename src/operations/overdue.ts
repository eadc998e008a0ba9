/** SQL: whether the next step of an open row of `sms_fallbacks` has been due for so long that somebody should look at it. */
export const IS_OVERDUE = `next_attempt_at < now() - interval '15 minutes'`;
