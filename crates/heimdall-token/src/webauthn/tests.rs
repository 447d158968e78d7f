use ciborium::Value as Cbor;
use proptest::prelude::*;

use super::*;
use crate::{Algorithm, SigningKey};

const ORIGIN: &str = "https://login.example:8443";
const ID: &[u8] = b"credential-1";

/// A device in software. It lies in whatever way a test asks for.
struct Device {
    key: SigningKey,
    flags: u8,
    counter: u32,
    origin: &'static str,
    site: &'static str,
    cross_origin: bool,
}

impl Device {
    fn new(algorithm: Algorithm) -> Self {
        Self {
            key: SigningKey::generate(algorithm).unwrap(),
            flags: 0x05,
            counter: 0,
            origin: ORIGIN,
            site: "login.example",
            cross_origin: false,
        }
    }

    fn cose(&self) -> Cbor {
        let jwk = self.key.public().jwk();
        let bytes =
            |name: &str| Cbor::Bytes(crypto::from_base64url(jwk[name].as_str().unwrap()).unwrap());
        let number = |n: i64| Cbor::Integer(n.into());
        let head: &[(i64, i64)] = match self.key.algorithm() {
            Algorithm::Es256 => &[(1, 2), (3, -7), (-1, 1)],
            Algorithm::Es384 => &[(1, 2), (3, -35), (-1, 2)],
            _ => &[(1, 1), (3, -8), (-1, 6)],
        };
        let mut members: Vec<(Cbor, Cbor)> =
            head.iter().map(|(k, v)| (number(*k), number(*v))).collect();
        members.push((number(-2), bytes("x")));
        if self.key.algorithm() != Algorithm::EdDsa {
            members.push((number(-3), bytes("y")));
        }
        Cbor::Map(members)
    }

    fn data(&self, flags: u8) -> Vec<u8> {
        let mut data = crypto::sha256(self.site.as_bytes()).to_vec();
        data.push(flags);
        data.extend(self.counter.to_be_bytes());
        data
    }

    fn client_data(&self, kind: &str, challenge: &[u8]) -> Vec<u8> {
        let seen = json!({
            "type": kind, "challenge": crypto::base64url(challenge), "origin": self.origin,
            "crossOrigin": self.cross_origin, "other": {"future": true},
        });
        serde_json::to_vec(&seen).unwrap()
    }

    fn attestation(&self) -> Vec<u8> {
        let mut data = self.data(self.flags | 0x40);
        data.extend([0; 16]);
        data.extend(u16::try_from(ID.len()).unwrap().to_be_bytes());
        data.extend(ID);
        ciborium::into_writer(&self.cose(), &mut data).unwrap();
        data
    }

    fn register(&self, challenge: &[u8]) -> Registration {
        self.registration(
            self.client_data("webauthn.create", challenge),
            self.attestation(),
        )
    }

    fn registration(&self, client_data: Vec<u8>, data: Vec<u8>) -> Registration {
        let object = Cbor::Map(vec![
            (Cbor::Text("fmt".into()), Cbor::Text("none".into())),
            (Cbor::Text("attStmt".into()), Cbor::Map(Vec::new())),
            (Cbor::Text("authData".into()), Cbor::Bytes(data)),
        ]);
        let mut cbor = Vec::new();
        ciborium::into_writer(&object, &mut cbor).unwrap();
        Registration {
            id: crypto::base64url(ID),
            kind: "public-key".to_owned(),
            response: RegistrationParts {
                client_data: crypto::base64url(&client_data),
                attestation_object: crypto::base64url(&cbor),
                transports: vec!["internal".to_owned(), "<script>".to_owned()],
            },
        }
    }

    fn sign(&self, challenge: &[u8]) -> Assertion {
        let client_data = self.client_data("webauthn.get", challenge);
        let data = self.data(self.flags);
        let message = [data.as_slice(), &crypto::sha256(&client_data)].concat();
        let fixed = self.key.sign(&message).unwrap();
        let signature = match self.key.algorithm() {
            Algorithm::EdDsa => fixed,
            _ => asn1(&fixed),
        };
        Assertion {
            id: crypto::base64url(ID),
            kind: "public-key".to_owned(),
            response: AssertionParts {
                client_data: crypto::base64url(&client_data),
                authenticator_data: crypto::base64url(&data),
                signature: crypto::base64url(&signature),
                user_handle: None,
            },
        }
    }
}

fn asn1(fixed: &[u8]) -> Vec<u8> {
    let (r, s) = fixed.split_at(fixed.len() / 2);
    let (r, s) = (crypto::unsigned_integer(r), crypto::unsigned_integer(s));
    crypto::sequence(&[r.as_slice(), s.as_slice()]).to_vec()
}

fn site() -> RelyingParty {
    RelyingParty::of_origin("Example", ORIGIN).unwrap()
}

fn registered(device: &Device) -> Passkey {
    site()
        .register(b"one", &device.register(b"one"), Demand::Presence)
        .unwrap()
}

#[test]
fn a_passkey_of_each_kind_registers_and_answers() {
    for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa] {
        let device = Device::new(algorithm);
        let passkey = registered(&device);
        assert_eq!(passkey.transports, ["internal"]);
        let asserted = site().check(b"two", &passkey, &device.sign(b"two"), Demand::Verification);
        assert_eq!(
            asserted,
            Ok(Asserted {
                counter: 0,
                verified: true
            }),
            "{algorithm}"
        );
        let other = Device::new(algorithm);
        let forged = site().check(b"two", &passkey, &other.sign(b"two"), Demand::Presence);
        assert_eq!(forged, Err(WebauthnError::Signature), "{algorithm}");
    }
}

#[test]
fn another_question_site_or_frame_is_refused() {
    let mut device = Device::new(Algorithm::Es256);
    let passkey = registered(&device);
    let check = |device: &Device, challenge: &[u8]| {
        site()
            .check(
                challenge,
                &passkey,
                &device.sign(b"asked"),
                Demand::Presence,
            )
            .unwrap_err()
    };
    assert_eq!(check(&device, b"other"), WebauthnError::Challenge);
    let crossed = site().register(
        b"one",
        &device.registration(
            device.client_data("webauthn.get", b"one"),
            device.attestation(),
        ),
        Demand::Presence,
    );
    assert_eq!(crossed.unwrap_err(), WebauthnError::Challenge);
    device.origin = "https://login.example.evil";
    assert_eq!(check(&device, b"asked"), WebauthnError::Origin);
    device.origin = ORIGIN;
    device.cross_origin = true;
    assert_eq!(check(&device, b"asked"), WebauthnError::Origin);
    device.cross_origin = false;
    device.site = "evil.example";
    assert_eq!(check(&device, b"asked"), WebauthnError::Origin);
}

#[test]
fn who_is_not_there_or_not_verified_is_refused() {
    let mut device = Device::new(Algorithm::Es256);
    let passkey = registered(&device);
    device.flags = 0x01;
    let answer = device.sign(b"x");
    assert!(
        site()
            .check(b"x", &passkey, &answer, Demand::Presence)
            .is_ok()
    );
    assert_eq!(
        site().check(b"x", &passkey, &answer, Demand::Verification),
        Err(WebauthnError::Presence)
    );
    device.flags = 0x04;
    assert_eq!(
        site().check(b"x", &passkey, &device.sign(b"x"), Demand::Presence),
        Err(WebauthnError::Presence)
    );
    // §6.1.3: synced but not able to be.
    device.flags = 0x15;
    assert!(matches!(
        site().check(b"x", &passkey, &device.sign(b"x"), Demand::Presence),
        Err(WebauthnError::Malformed(_))
    ));
}

#[test]
fn a_counter_that_does_not_grow_shows_a_copy() {
    let mut device = Device::new(Algorithm::Es256);
    device.counter = 7;
    let mut passkey = registered(&device);
    assert_eq!(passkey.counter, 7);
    let check = |device: &Device, passkey: &Passkey| {
        site().check(b"x", passkey, &device.sign(b"x"), Demand::Presence)
    };
    assert_eq!(check(&device, &passkey), Err(WebauthnError::Copied));
    device.counter = 8;
    passkey.counter = check(&device, &passkey).unwrap().counter;
    device.counter = 0;
    assert_eq!(check(&device, &passkey), Err(WebauthnError::Copied));
}

#[test]
fn keys_that_were_not_asked_for_are_refused() {
    let device = Device::new(Algorithm::Es256);
    let register = |change: fn(&mut Vec<(Cbor, Cbor)>)| {
        let Cbor::Map(mut members) = device.cose() else {
            panic!()
        };
        change(&mut members);
        let mut data = device.data(0x45);
        data.extend([0; 16]);
        data.extend([0, 12]);
        data.extend(ID);
        ciborium::into_writer(&Cbor::Map(members), &mut data).unwrap();
        site()
            .register(
                b"x",
                &device.registration(device.client_data("webauthn.create", b"x"), data),
                Demand::Presence,
            )
            .map(|_| ())
    };
    assert_eq!(register(|_| {}), Ok(()));
    assert_eq!(
        register(|m| m[1].1 = Cbor::Integer((-37).into())),
        Err(WebauthnError::Key)
    );
    assert_eq!(
        register(|m| m[2].1 = Cbor::Integer(3.into())),
        Err(WebauthnError::Key)
    );
    assert_eq!(
        register(|m| m[3].1 = Cbor::Bytes(vec![1; 31])),
        Err(WebauthnError::Key)
    );
    assert_eq!(register(|m| m.truncate(4)), Err(WebauthnError::Key));
}

#[test]
fn what_is_cut_or_continued_is_malformed() {
    let device = Device::new(Algorithm::Es256);
    let whole = device.attestation();
    let register = |data: Vec<u8>| {
        site()
            .register(
                b"x",
                &device.registration(device.client_data("webauthn.create", b"x"), data),
                Demand::Presence,
            )
            .map(|_| ())
    };
    for length in 0..whole.len() {
        assert!(
            register(whole[..length].to_vec()).is_err(),
            "cut at {length}"
        );
    }
    assert!(register([whole.as_slice(), &[0]].concat()).is_err());
    let passkey = registered(&device);
    let mut answer = device.sign(b"x");
    answer.response.authenticator_data.push_str("AAAA");
    assert!(
        site()
            .check(b"x", &passkey, &answer, Demand::Presence)
            .is_err()
    );
}

#[test]
fn origins_are_read_strictly() {
    let id = |origin: &str| RelyingParty::of_origin("x", origin).map(|site| site.id().to_owned());
    assert_eq!(id("https://Example.org").as_deref(), Some("example.org"));
    assert_eq!(id("http://localhost:3000").as_deref(), Some("localhost"));
    assert_eq!(id("http://[::1]:3000").as_deref(), Some("::1"));
    for bad in [
        "",
        "example.org",
        "ftp://x",
        "https://",
        "https://a/b",
        "https://u@h",
        "https://:1",
    ] {
        assert_eq!(id(bad), None, "{bad}");
    }
}

proptest! {
    #[test]
    fn no_answer_makes_it_panic(client_data in ".{0,80}", object in proptest::collection::vec(any::<u8>(), 0..200), flags in any::<u8>()) {
        let mut device = Device::new(Algorithm::EdDsa);
        device.flags = flags;
        let mut made = device.register(b"x");
        let _ = site().register(b"x", &made, Demand::Presence);
        made.response.attestation_object = crypto::base64url(&object);
        prop_assert!(site().register(b"x", &made, Demand::Presence).is_err());
        made.response.client_data = client_data;
        prop_assert!(site().register(b"x", &made, Demand::Presence).is_err());
    }
}
