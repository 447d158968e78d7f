//! Keys, certificates and passwords: what takes much processor time.

use crate::Value;
#[cfg(not(feature = "keygen"))]
use crate::{CallError, context::Context};

/// What `genCA` and the like give.
#[derive(Debug, Clone, PartialEq, Eq)]
#[doc(hidden)]
pub struct Certificate {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Certificate {
    pub(crate) fn fields(&self) -> Vec<(&'static str, Value<'static>)> {
        vec![
            ("Cert", Value::from(self.certificate.clone())),
            ("Key", Value::from(self.key.clone())),
        ]
    }

    pub(crate) fn field<'a>(&self, name: &str) -> Option<Value<'a>> {
        match name {
            "Cert" => Some(Value::from(self.certificate.clone())),
            "Key" => Some(Value::from(self.key.clone())),
            _ => None,
        }
    }
}

#[cfg(feature = "keygen")]
mod generate;
#[cfg(feature = "keygen")]
pub(super) use generate::{
    build_custom_cert, gen_ca, gen_ca_with_key, gen_private_key, gen_self_signed,
    gen_self_signed_with_key, gen_signed, gen_signed_with_key,
};

#[cfg(not(feature = "keygen"))]
macro_rules! unavailable {
    ($($name:ident),*) => {$(
        pub(super) fn $name<'a>(_: &mut Context<'a>, _: &[Value<'a>]) -> Result<Value<'a>, CallError> {
            Err("this build has not the feature `keygen`".into())
        }
    )*};
}

#[cfg(not(feature = "keygen"))]
unavailable!(
    gen_private_key,
    build_custom_cert,
    gen_ca,
    gen_ca_with_key,
    gen_self_signed,
    gen_self_signed_with_key,
    gen_signed,
    gen_signed_with_key
);
