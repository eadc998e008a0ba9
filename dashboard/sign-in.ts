/** Passes a linked journey on to the page after sign-in: a redirect keeps the fragment of the form's action. */
const form = document.querySelector('form');
if (form !== null) form.action += location.hash;

export {};
