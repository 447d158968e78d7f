//! Keys and certificates made on the spot.

use std::convert::Infallible;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use ring::digest;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use rsa::PrivateKey;
use rsa::pkcs1::{DecodeRsaPrivateKey as _, EncodeRsaPrivateKey as _, LineEnding};
use rsa::pkcs8::EncodePrivateKey as _;
use rsa::rand_core::{TryCryptoRng, TryRng};

use super::super::{arg, convert};
use super::Certificate;
use crate::context::Context;
use crate::native::Native;
use crate::{CallError, Value};

type Answer<'a> = Result<Value<'a>, CallError>;

fn failed(error: impl std::fmt::Display) -> CallError {
    CallError::new(error.to_string())
}

/// Random bytes for the primes, drawn out of one seed of the environment.
struct Stream {
    seed: [u8; 32],
    counter: u64,
}

impl Stream {
    fn new(cx: &Context<'_>) -> Result<Self, CallError> {
        let mut seed = [0; 32];
        cx.fill(&mut seed)?;
        Ok(Self { seed, counter: 0 })
    }
}

impl TryRng for Stream {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(32) {
            self.counter += 1;
            let mut block = digest::Context::new(&digest::SHA256);
            block.update(&self.seed);
            block.update(&self.counter.to_be_bytes());
            for (place, byte) in chunk.iter_mut().zip(block.finish().as_ref()) {
                *place = *byte;
            }
        }
        Ok(())
    }
}

impl TryCryptoRng for Stream {}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len())
        .step_by(64)
        .filter_map(|at| text.get(at..text.len().min(at + 64)))
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

/// The label and contents of the first block.
fn unpem(text: &str) -> Option<(&str, Vec<u8>)> {
    let (label, rest) = text.split_once("-----BEGIN ")?.1.split_once("-----")?;
    let body: String = rest.split_once("-----END ")?.0.split_whitespace().collect();
    Some((label, STANDARD.decode(body).ok()?))
}

/// One DER element with its length.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    match length {
        0..128 => out.push(length as u8),
        128..256 => out.extend([0x81, length as u8]),
        _ => out.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    out.extend_from_slice(content);
    out
}

const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const EC_PUBLIC_KEY: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const ED25519: &[u8] = &[
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// A P-256 key in the form of RFC 5915, with the curve in it.
fn ec_key() -> Result<Vec<u8>, CallError> {
    // ring makes keys with its own source of randomness only.
    let rng = ring::rand::SystemRandom::new();
    let pkcs8 =
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &rng).map_err(failed)?;
    // ring's document is of fixed shape: 36 bytes before the secret, 5 between it and the 65 of the public point.
    let secret = pkcs8
        .as_ref()
        .get(36..68)
        .ok_or("unexpected key document")?;
    let public = pkcs8
        .as_ref()
        .get(73..138)
        .ok_or("unexpected key document")?;
    let mut bits = vec![0];
    bits.extend_from_slice(public);
    let parts = [
        der(0x02, &[1]),
        der(0x04, secret),
        der(0xa0, P256),
        der(0xa1, &der(0x03, &bits)),
    ]
    .concat();
    Ok(der(0x30, &parts))
}

pub(crate) fn gen_private_key<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    let kind = convert::text(args, 0).to_lossy();
    Ok(Value::from(match &*kind {
        "" | "rsa" => rsa_key(cx, 4096)?
            .to_pkcs1_pem(LineEnding::LF)
            .map_err(failed)?
            .to_string(),
        "ecdsa" => pem("EC PRIVATE KEY", &ec_key()?),
        "ed25519" => {
            let mut seed = [0; 32];
            cx.fill(&mut seed)?;
            pem("PRIVATE KEY", &[ED25519, &seed].concat())
        }
        "dsa" => {
            return Err(
                "keys of the type `dsa` are not made here: the standard withdrew them".into(),
            );
        }
        kind => format!("Unknown type {kind}"),
    }))
}

fn rsa_key(cx: &mut Context<'_>, bits: usize) -> Result<PrivateKey, CallError> {
    const COST: usize = 200_000;
    cx.charge(COST)?;
    PrivateKey::new(&mut Stream::new(cx)?, bits).map_err(failed)
}

/// A key in text: its PKCS#8 form for signing.
fn key_pair(text: &str) -> Result<KeyPair, CallError> {
    let (label, content) = unpem(text).ok_or("no PEM data in input")?;
    let pkcs8 = match label {
        "PRIVATE KEY" => content,
        "RSA PRIVATE KEY" => {
            let key = PrivateKey::from_pkcs1_der(&content).map_err(failed)?;
            key.to_pkcs8_der().map_err(failed)?.as_bytes().to_vec()
        }
        "EC PRIVATE KEY" => {
            let algorithm = der(0x30, &[EC_PUBLIC_KEY, P256].concat());
            der(
                0x30,
                &[der(0x02, &[0]), algorithm, der(0x04, &content)].concat(),
            )
        }
        label => return Err(CallError::new(format!("invalid private key type {label}"))),
    };
    KeyPair::try_from(pkcs8).map_err(failed)
}

fn new_key(cx: &mut Context<'_>) -> Result<String, CallError> {
    Ok(rsa_key(cx, 2048)?
        .to_pkcs1_pem(LineEnding::LF)
        .map_err(failed)?
        .to_string())
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn texts(value: &Value<'_>) -> Result<Vec<String>, CallError> {
    let Value::List(list) = value else {
        return Ok(Vec::new());
    };
    list.iter()
        .map(|item| {
            item.as_str()
                .map(str::to_owned)
                .ok_or_else(|| CallError::new("error parsing: not a string"))
        })
        .collect()
}

/// What all of sprig's certificates have in common.
fn params(
    cx: &Context<'_>,
    name: &str,
    days: i64,
    ips: &[String],
    names: &[String],
) -> Result<CertificateParams, CallError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(name);
    let now = cx.system_now()?;
    let lifetime = Duration::from_secs(
        days.unsigned_abs()
            .saturating_mul(86_400)
            .min(100 * 365 * 86_400),
    );
    params.not_before = now.into();
    params.not_after = if days < 0 {
        now - lifetime
    } else {
        now + lifetime
    }
    .into();
    let mut serial = [0; 16];
    cx.fill(&mut serial)?;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.key_usages = vec![
        KeyUsagePurpose::KeyEncipherment,
        KeyUsagePurpose::DigitalSignature,
    ];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    for ip in ips {
        let address = ip
            .parse()
            .map_err(|_| CallError::new(format!("error parsing ip: {ip}")))?;
        params.subject_alt_names.push(SanType::IpAddress(address));
    }
    for name in names {
        params
            .subject_alt_names
            .push(SanType::DnsName(name.as_str().try_into().map_err(failed)?));
    }
    Ok(params)
}

fn answer<'a>(certificate: String, key: String) -> Value<'a> {
    Value::Native(Native::Certificate(std::rc::Rc::new(Certificate {
        certificate,
        key,
    })))
}

fn authority<'a>(cx: &mut Context<'a>, args: &[Value<'a>], key: String) -> Answer<'a> {
    let name = convert::text(args, 0).to_lossy();
    let mut params = params(cx, &name, convert::int(args, 1), &[], &[])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages.push(KeyUsagePurpose::KeyCertSign);
    let certificate = params.self_signed(&key_pair(&key)?).map_err(failed)?;
    Ok(answer(certificate.pem(), key))
}

pub(crate) fn gen_ca<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    let key = new_key(cx)?;
    authority(cx, args, key)
}

pub(crate) fn gen_ca_with_key<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    authority(cx, args, convert::text(args, 2).to_lossy().into_owned())
}

/// Name, addresses, names and days of a certificate.
fn leaf(cx: &Context<'_>, args: &[Value<'_>]) -> Result<CertificateParams, CallError> {
    let (ips, names) = (texts(arg(args, 1))?, texts(arg(args, 2))?);
    params(
        cx,
        &convert::text(args, 0).to_lossy(),
        convert::int(args, 3),
        &ips,
        &names,
    )
}

fn self_signed<'a>(cx: &mut Context<'a>, args: &[Value<'a>], key: String) -> Answer<'a> {
    let certificate = leaf(cx, args)?
        .self_signed(&key_pair(&key)?)
        .map_err(failed)?;
    Ok(answer(certificate.pem(), key))
}

pub(crate) fn gen_self_signed<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    let key = new_key(cx)?;
    self_signed(cx, args, key)
}

pub(crate) fn gen_self_signed_with_key<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    self_signed(cx, args, convert::text(args, 4).to_lossy().into_owned())
}

fn signed<'a>(cx: &mut Context<'a>, args: &[Value<'a>], key: String) -> Answer<'a> {
    let Value::Native(Native::Certificate(authority)) = arg(args, 4) else {
        return Err("the authority is no certificate".into());
    };
    let (_, content) = unpem(&authority.certificate).ok_or("unable to decode certificate")?;
    let (_, parsed) = x509_parser::parse_x509_certificate(&content).map_err(failed)?;
    let name = parsed
        .subject()
        .iter_common_name()
        .next()
        .and_then(|name| name.as_str().ok())
        .unwrap_or_default();
    let mut issuer = CertificateParams::default();
    issuer.distinguished_name = named(name);
    let issuer = Issuer::new(issuer, key_pair(&authority.key)?);
    let certificate = leaf(cx, args)?
        .signed_by(&key_pair(&key)?, &issuer)
        .map_err(failed)?;
    Ok(answer(certificate.pem(), key))
}

pub(crate) fn gen_signed<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    let key = new_key(cx)?;
    signed(cx, args, key)
}

pub(crate) fn gen_signed_with_key<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    signed(cx, args, convert::text(args, 5).to_lossy().into_owned())
}

/// `buildCustomCert certificate key`, both in base64.
pub(crate) fn build_custom_cert<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    let decode = |index: usize, what: &str| {
        let bytes = STANDARD
            .decode(convert::bytes(args, index))
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        bytes.ok_or_else(|| CallError::new(format!("unable to decode base64 {what}")))
    };
    let (certificate, key) = (decode(0, "certificate")?, decode(1, "private key")?);
    let (_, content) = unpem(&certificate).ok_or("unable to decode certificate")?;
    x509_parser::parse_x509_certificate(&content).map_err(failed)?;
    key_pair(&key)?;
    Ok(answer(certificate, key))
}
