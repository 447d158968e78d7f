/// The state of a row that is to be sent.
pub(crate) const WAITING: &str = "waiting";
