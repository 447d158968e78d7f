//! `bcrypt`, `htpasswd`, `derivePassword`.

use crate::context::Context;
use crate::{CallError, Value};

macro_rules! unavailable {
    ($($name:ident),*) => {$(
        pub(super) fn $name<'a>(_: &mut Context<'a>, _: &[Value<'a>]) -> Result<Value<'a>, CallError> {
            Err("this build has not the feature `passwords`".into())
        }
    )*};
}

unavailable!(bcrypt, htpasswd, derive_password);
