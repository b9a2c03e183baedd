// How a member stands: in, out, or nobody has decided yet.

/** Returns the words for it and their colour. */
export function standing({ authorized, lastAuthorizedTime, lastDeauthorizedTime }) {
  if (authorized) return ["Authorized", "good"];
  if (lastDeauthorizedTime > 0) return [lastAuthorizedTime > 0 ? "Revoked" : "Refused", "bad"];
  return ["Waiting", "warn"];
}
