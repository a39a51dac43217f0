// Generated from spec/codes.json.

/** error.code of an error event. */
export type FozErrorCode =
  | 'bad_json'
  | 'bad_request'
  | 'bad_envelope'
  | 'bad_query'
  | 'unknown_action'
  | 'unknown_channel'
  | 'channel_mismatch'
  | 'ambiguous_channel'
  | 'forbidden'
  | 'bad_token'
  | 'login_required'
  | 'denied'
  | 'expired'
  | 'revoked'
  | 'unsupported'
  | 'unroutable'
  | 'no_service'
  | 'timeout'
  | 'dead_lettered'
  | 'interrupted'
  | 'overloaded'
  | 'rate_limited'
  | 'unavailable'
  | 'unknown'
  | 'cancelled'
  | 'bad_answer'
  | 'service';

export interface FozError {
  code: FozErrorCode;
  message: string;
  /** Sending the same again may help. */
  retryable: boolean;
  retry_after_ms?: number;
  field?: string;
  id?: string;
  frame?: number;
  /** code is 'service': the service's own code and words. */
  service_code?: string;
  service?: unknown;
}

/** Codes with which a socket closes. */
export type FozCloseCode =
  | 1000
  | 1002
  | 1006
  | 1007
  | 1009
  | 1012
  | 1013
  | 4000
  | 4001
  | 4003
  | 4010
  | 4100
  | 4101;

/** Close codes after which a client comes back. */
export type FozComeBack = 1006 | 1012 | 1013 | 4100 | 4101;
