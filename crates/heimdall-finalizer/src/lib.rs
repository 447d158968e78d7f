//! Finalizers: what the upstream service sees of a subject.
mod body;
mod cache;
mod duration;
mod failure;
mod finalizers;
mod flights;
mod keys;
mod oauth2;
mod objects;
mod ports;
mod request;
mod scope;
pub mod settings;
mod subject;
mod template;
pub mod url;
pub mod yaml;

pub use body::{decode as decode_body, to_json};
pub use cache::{Deadlined, Key, KeyParts};
pub use duration::{Grammar, parse_duration};
pub use failure::{Failure, Kind};
pub use finalizers::{
    ClientCredentials, CookieFinalizer, Effects, FINALIZER_TYPES, Finalizer, HeaderFinalizer,
    JwtFinalizer, Sight, TokenCache, TokenHeader, Workshop, read_template, read_values,
};
pub use flights::Flights;
pub use keys::{KeyStore, KeyStores, StoredKey};
pub use oauth2::{AccessToken, AuthMethod, Flow, TokenClient, basic, check_url, unreachable};
pub use objects::{Captures, Scene, url_of};
pub use ports::{Files, Http, HttpFault, HttpRequest, HttpResponse, Timer, read_secret};
pub use request::{Body, HeaderView, Request, canonical_name, cookie_pairs, is_token};
pub use scope::{Outputs, Scope, Values};
pub use subject::Subject;
pub use template::{OnMissing, Text, ValueTemplates};
