// Passkeys: the browser makes one or shows one, and the form carries its answer. Options and answer are the JSON forms
// of Web Authentication Level 3; older browsers have no parser for them, so they are read and written here.
const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const known = (list = []) => list.map((one) => ({ ...one, id: bytes(one.id) }));

const create = async (options) => {
  const publicKey = { ...options, challenge: bytes(options.challenge), user: { ...options.user, id: bytes(options.user.id) }, excludeCredentials: known(options.excludeCredentials) };
  const { id, type, response } = await navigator.credentials.create({ publicKey });
  return { id, rawId: id, type, response: {
    clientDataJSON: text(response.clientDataJSON), attestationObject: text(response.attestationObject),
    transports: response.getTransports ? response.getTransports() : [],
  } };
};

const get = async (options) => {
  const publicKey = { ...options, challenge: bytes(options.challenge), allowCredentials: known(options.allowCredentials) };
  const { id, type, response } = await navigator.credentials.get({ publicKey });
  return { id, rawId: id, type, response: {
    clientDataJSON: text(response.clientDataJSON), authenticatorData: text(response.authenticatorData),
    signature: text(response.signature), userHandle: response.userHandle ? text(response.userHandle) : undefined,
  } };
};

document.querySelectorAll("form[data-passkey]").forEach((form) => {
  const told = form.querySelector("[data-told]");
  if (!window.PublicKeyCredential) {
    told.textContent = form.dataset.no || "This browser, or this address, cannot use passkeys.";
    form.querySelector("button").disabled = true;
    return;
  }
  form.addEventListener("submit", async (event) => {
    const answer = form.querySelector("[data-answer]");
    if (answer.value) return;
    event.preventDefault();
    try {
      answer.value = JSON.stringify(await (form.dataset.passkey === "create" ? create : get)(JSON.parse(form.dataset.options)));
      form.submit();
    } catch (error) {
      told.textContent = form.dataset.failed || `The device did not answer (${error.name}). Nothing was done.`;
    }
  });
});
