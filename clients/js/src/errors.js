// The plugin's own errors, and which errors mean what.

export class FozError extends Error {
  constructor(error) {
    super(error.service_code ? error.service_code + ': ' + (error.service && error.service.message) : error.message);
    Object.assign(this, error, { name: 'FozError', message: this.message });
  }
}

export const failure = (code, message, more) => new FozError(Object.assign({ code, message, retryable: false }, more));

// Errors after which the same message may simply be sent again; for the others the caller decides.
export const sendsAgain = (error) => ['unavailable', 'unknown', 'overloaded', 'rate_limited'].includes(error.code);

// Close codes after which a client must not come back as it is: the aggregator's refusals, and the codes of
// spec/codes.json that an aggregator closes with when the client's own frames were wrong.
export const staysAway = (code) => (code >= 4000 && code <= 4099) || [1002, 1007, 1009].includes(code);
