/** Browsers resolve modules by URL only; the service serves lit-html at this one. */
export * from 'lit-html';
