/** Hands on to the page after the form which journey a link was meant to open: a redirect keeps the form's fragment. */
const form = document.querySelector('form');
if (form !== null) form.action += location.hash;

export {};
