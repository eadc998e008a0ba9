/** The question mark makes it a different URL, so the browser loads it; the same URL would only scroll. */
location.replace(`dashboard?${location.hash}`);

export {};
