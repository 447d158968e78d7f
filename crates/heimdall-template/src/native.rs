//! Go structures that functions give to templates.

use std::rc::Rc;

use crate::Value;
use crate::functions::{Certificate, Version};

/// A structure made by a function.
#[derive(Clone)]
#[doc(hidden)]
pub enum Native {
    /// What `semver` gives.
    Version(Rc<Version>),
    /// What `genCA` and the like give.
    Certificate(Rc<Certificate>),
}

impl Native {
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Version(version) => version.type_name(),
            Self::Certificate(_) => "sprig.certificate",
        }
    }

    pub(crate) fn fields(&self) -> Vec<(&'static str, Value<'static>)> {
        match self {
            Self::Version(version) => version.fields(),
            Self::Certificate(certificate) => certificate.fields(),
        }
    }

    /// The exported field of this name.
    pub(crate) fn field<'a>(&self, name: &str) -> Option<Value<'a>> {
        match self {
            // Its fields are for the package only.
            Self::Version(_) => None,
            Self::Certificate(certificate) => certificate.field(name),
        }
    }
}
