//! `bcrypt`, `htpasswd`, `derivePassword`: each takes some tenth of a second by design.

#[cfg(feature = "passwords")]
pub(super) use with_feature::{bcrypt, derive_password, htpasswd};
#[cfg(not(feature = "passwords"))]
pub(super) use without_feature::{bcrypt, derive_password, htpasswd};

#[cfg(not(feature = "passwords"))]
mod without_feature {
    use crate::context::Context;
    use crate::{CallError, Value};

    fn refused<'a>() -> Result<Value<'a>, CallError> {
        Err("this build has not the feature `passwords`".into())
    }

    pub(crate) fn bcrypt<'a>(_: &mut Context<'a>, _: &[Value<'a>]) -> Result<Value<'a>, CallError> {
        refused()
    }

    pub(crate) fn htpasswd<'a>(
        _: &mut Context<'a>,
        _: &[Value<'a>],
    ) -> Result<Value<'a>, CallError> {
        refused()
    }

    pub(crate) fn derive_password<'a>(
        _: &mut Context<'a>,
        _: &[Value<'a>],
    ) -> Result<Value<'a>, CallError> {
        refused()
    }
}

#[cfg(feature = "passwords")]
mod with_feature {
    use ring::hmac;

    use super::super::{arg, convert};
    use crate::context::Context;
    use crate::{CallError, Value};

    /// What one of these functions uses of the fuel.
    const COST: usize = 100_000;

    fn hashed(cx: &mut Context<'_>, password: &[u8]) -> Result<String, CallError> {
        const GO_DEFAULT_COST: u32 = 10;
        cx.charge(COST)?;
        if password.len() > 72 {
            return Ok(
                "failed to encrypt string with bcrypt: bcrypt: password length exceeds 72 bytes"
                    .into(),
            );
        }
        let mut salt = [0; 16];
        cx.fill(&mut salt)?;
        let parts = bcrypt::hash_with_salt(password, GO_DEFAULT_COST, salt)
            .map_err(|error| CallError::new(error.to_string()))?;
        Ok(parts.format_for_version(bcrypt::Version::TwoA))
    }

    pub(crate) fn bcrypt<'a>(
        cx: &mut Context<'a>,
        args: &[Value<'a>],
    ) -> Result<Value<'a>, CallError> {
        hashed(cx, convert::bytes(args, 0)).map(Value::from)
    }

    /// `htpasswd user password`
    pub(crate) fn htpasswd<'a>(
        cx: &mut Context<'a>,
        args: &[Value<'a>],
    ) -> Result<Value<'a>, CallError> {
        let user = convert::text(args, 0).to_lossy();
        if user.contains(':') {
            return Ok(Value::from(format!("invalid username: {user}")));
        }
        let hash = hashed(cx, convert::bytes(args, 1))?;
        Ok(Value::from(format!("{user}:{hash}")))
    }

    /// The shapes of a kind of password: a letter stands for a set of characters.
    fn shapes(kind: &str) -> Option<&'static [&'static str]> {
        Some(match kind {
            "maximum" => &["anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"],
            "long" => &[
                "CvcvnoCvcvCvcv",
                "CvcvCvcvnoCvcv",
                "CvcvCvcvCvcvno",
                "CvccnoCvcvCvcv",
                "CvccCvcvnoCvcv",
                "CvccCvcvCvcvno",
                "CvcvnoCvccCvcv",
                "CvcvCvccnoCvcv",
                "CvcvCvccCvcvno",
                "CvcvnoCvcvCvcc",
                "CvcvCvcvnoCvcc",
                "CvcvCvcvCvccno",
                "CvccnoCvccCvcv",
                "CvccCvccnoCvcv",
                "CvccCvccCvcvno",
                "CvcvnoCvccCvcc",
                "CvcvCvccnoCvcc",
                "CvcvCvccCvccno",
                "CvccnoCvcvCvcc",
                "CvccCvcvnoCvcc",
                "CvccCvcvCvccno",
            ],
            "medium" => &["CvcnoCvc", "CvcCvcno"],
            "short" => &["Cvcn"],
            "basic" => &["aaanaaan", "aannaaan", "aaannaaa"],
            "pin" => &["nnnn"],
            _ => return None,
        })
    }

    fn characters(letter: char) -> &'static [u8] {
        match letter {
            'V' => b"AEIOU",
            'C' => b"BCDFGHJKLMNPQRSTVWXYZ",
            'v' => b"aeiou",
            'c' => b"bcdfghjklmnpqrstvwxyz",
            'A' => b"AEIOUBCDFGHJKLMNPQRSTVWXYZ",
            'a' => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz",
            'n' => b"0123456789",
            'o' => b"@&%?,=[]_:-+*$#!'^~;()/.",
            _ => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()",
        }
    }

    /// `derivePassword counter kind password user site`
    pub(crate) fn derive_password<'a>(
        cx: &mut Context<'a>,
        args: &[Value<'a>],
    ) -> Result<Value<'a>, CallError> {
        const SEED: &[u8] = b"com.lyndir.masterpassword";
        cx.charge(COST)?;
        let counter = if let Value::Uint(counter, _) = arg(args, 0) {
            *counter as u32
        } else {
            0
        };
        let kind = convert::text(args, 1).to_lossy();
        let Some(shapes) = shapes(&kind) else {
            return Ok(Value::from(format!("cannot find password template {kind}")));
        };
        let (password, user, site) = (
            convert::bytes(args, 2),
            convert::bytes(args, 3),
            convert::bytes(args, 4),
        );
        let salt = [SEED, &(user.len() as u32).to_be_bytes(), user].concat();
        let params =
            scrypt::Params::new(15, 8, 2).map_err(|error| CallError::new(error.to_string()))?;
        let mut key = [0; 64];
        scrypt::scrypt(password, &salt, &params, &mut key)
            .map_err(|error| CallError::new(error.to_string()))?;
        let message = [
            SEED,
            &(site.len() as u32).to_be_bytes(),
            site,
            &counter.to_be_bytes(),
        ]
        .concat();
        let seed = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), &message);
        let mut seed = seed.as_ref().iter().map(|byte| usize::from(*byte));
        let shape = seed
            .next()
            .and_then(|first| shapes.get(first % shapes.len()))
            .copied()
            .unwrap_or_default();
        let chosen = shape.chars().zip(seed).filter_map(|(letter, byte)| {
            let set = characters(letter);
            set.get(byte % set.len()).map(|byte| char::from(*byte))
        });
        Ok(Value::from(chosen.collect::<String>()))
    }
}
