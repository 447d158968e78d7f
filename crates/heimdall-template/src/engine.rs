//! What templates may use: functions, delimiters, limits.

use std::sync::Arc;
use std::time::SystemTime;

use crate::function::{self, Answer, Arguments, Function};
use crate::{CallError, Error, Template, Value};

/// Functions, delimiters and limits; parses templates. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    pub(crate) settings: Arc<Settings>,
}

/// Collects the settings of an [`Engine`].
#[derive(Clone)]
#[must_use]
pub struct EngineBuilder {
    settings: Settings,
}

#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) left: String,
    pub(crate) right: String,
    pub(crate) missing_key: MissingKey,
    pub(crate) limits: Limits,
    pub(crate) sets: Vec<FunctionSet>,
    pub(crate) own: Vec<(String, OwnFunction)>,
    pub(crate) environment: Option<Arc<dyn Environment>>,
}

/// A function of the caller's.
pub(crate) type OwnFunction = Arc<function::Run>;

/// What `.key` of a map without that key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum MissingKey {
    /// No value, printed as `<no value>`.
    #[default]
    Default,
    /// The zero value of the map's element type.
    Zero,
    /// An error.
    Error,
}

/// Groups of functions that an engine offers or not. Go's own functions are always there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FunctionSet {
    /// Everything of sprig that neither resolves names nor burns processor time.
    Sprig,
    /// `getHostByName`.
    Network,
    /// `genPrivateKey`, `genCA…`, `genSelfSignedCert…`, `genSignedCert…`, `buildCustomCert`.
    Keys,
    /// `bcrypt`, `htpasswd`, `derivePassword`.
    Passwords,
}

impl FunctionSet {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Sprig, Self::Network, Self::Keys, Self::Passwords];
}

/// What a render may use up. Reaching a limit is an error, never a hang.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Steps: an action, an iteration, an element looked at by a function. Default 1,000,000.
    pub fuel: u64,
    /// Bytes of output. Default 1 MiB.
    pub output: usize,
    /// Nested `template` calls. Default 100.
    pub depth: usize,
    /// Bytes that all functions of a render may build together, and any one of them. Default 4 MiB.
    pub built: usize,
    /// Bytes of a compiled regular expression. Default 1 MiB.
    pub regex: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fuel: 1_000_000,
            output: 1 << 20,
            depth: 100,
            built: 4 << 20,
            regex: 1 << 20,
        }
    }
}

/// The outside world of a few functions: an engine without one refuses `now`, `uuidv4`, `getHostByName` and the like.
pub trait Environment: Send + Sync {
    /// The time now.
    fn now(&self) -> SystemTime;

    /// Fills the bytes with randomness fit for keys.
    ///
    /// # Errors
    /// When the source of randomness fails.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), CallError>;

    /// An address of a host, for `getHostByName`.
    ///
    /// # Errors
    /// When the name has none, or this environment resolves none.
    fn resolve(&self, host: &str) -> Result<String, CallError> {
        Err(CallError::new(format!(
            "no address of `{host}`: names are not resolved here"
        )))
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::builder().build()
    }
}

impl Engine {
    /// Starts from Go's delimiters, the functions of Go and [`FunctionSet::Sprig`], and the default limits.
    pub fn builder() -> EngineBuilder {
        EngineBuilder {
            settings: Settings {
                left: "{{".into(),
                right: "}}".into(),
                missing_key: MissingKey::Default,
                limits: Limits::default(),
                sets: vec![FunctionSet::Sprig],
                own: Vec::new(),
                environment: None,
            },
        }
    }

    /// Parses a template.
    ///
    /// # Errors
    /// [`ErrorKind::Parse`](crate::ErrorKind::Parse), with the place.
    pub fn parse(&self, name: &str, source: &str) -> Result<Template, Error> {
        self.parse_all(&[(name, source)])
    }

    /// Parses several texts that can call one another by name with `{{ template "name" . }}`; the first is the one
    /// that [`Template::render`] renders.
    ///
    /// # Errors
    /// [`ErrorKind::Parse`](crate::ErrorKind::Parse), with the place.
    pub fn parse_all(&self, sources: &[(&str, &str)]) -> Result<Template, Error> {
        Template::parse(self.settings.clone(), sources)
    }
}

impl EngineBuilder {
    /// Finishes.
    pub fn build(self) -> Engine {
        Engine {
            settings: Arc::new(self.settings),
        }
    }

    /// Other delimiters than `{{` and `}}`; an empty one stands for the default.
    pub fn delimiters(mut self, left: &str, right: &str) -> Self {
        self.settings.left = if left.is_empty() { "{{" } else { left }.to_owned();
        self.settings.right = if right.is_empty() { "}}" } else { right }.to_owned();
        self
    }

    /// What an unknown key of a map does.
    pub fn missing_key(mut self, missing_key: MissingKey) -> Self {
        self.settings.missing_key = missing_key;
        self
    }

    /// What a render may use up.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// Exactly these function sets.
    pub fn functions(mut self, sets: &[FunctionSet]) -> Self {
        self.settings.sets = sets.to_vec();
        self
    }

    /// Clock, randomness and name resolution.
    pub fn environment(mut self, environment: impl Environment + 'static) -> Self {
        self.settings.environment = Some(Arc::new(environment));
        self
    }

    /// A function of one's own, a closure over typed arguments. It wins over one of the same name.
    ///
    /// Its arguments are [`Argument`](crate::Argument)s, its result is an [`Answer`]; other numbers and types of arguments are refused
    /// before it is called.
    ///
    /// ```
    /// use heimdall_template::Engine;
    ///
    /// let engine = Engine::builder()
    ///     .function("double", |n: i64| n * 2)
    ///     .function("initial", |name: &str| name.chars().next().map(String::from))
    ///     .function("port", |text: &str| text.parse::<u16>().map(i64::from))
    ///     .build();
    /// let template = engine.parse("t", r#"{{ double 21 }} {{ initial "Ann" }} {{ port "80" }}"#)?;
    /// assert_eq!(template.render_to_string(&serde_json::json!({}))?, "42 A 80");
    /// # Ok::<(), heimdall_template::Error>(())
    /// ```
    pub fn function<F, Args, R>(self, name: &str, function: F) -> Self
    where
        F: Function<Args, R> + for<'v> Function<<Args as Arguments<'v>>::Read, R>,
        Args: for<'v> Arguments<'v> + 'static,
        R: Answer + 'static,
    {
        self.own(name, function::erased::<F, Args, R>(function))
    }

    /// A function of one's own over any number of arguments as they come. It wins over one of the same name.
    ///
    /// What it gives may borrow from its arguments.
    ///
    /// ```
    /// use heimdall_template::{Engine, Value};
    ///
    /// let engine = Engine::builder()
    ///     .variadic("second", |args| Ok(args.get(1).cloned().unwrap_or_default()))
    ///     .build();
    /// let template = engine.parse("t", "{{ second .a .b .c }}")?;
    /// assert_eq!(template.render_to_string(&serde_json::json!({"b": "x"}))?, "x");
    /// # Ok::<(), heimdall_template::Error>(())
    /// ```
    pub fn variadic<F>(self, name: &str, function: F) -> Self
    where
        F: for<'a> Fn(&[Value<'a>]) -> Result<Value<'a>, CallError> + Send + Sync + 'static,
    {
        self.own(name, function::shared(function))
    }

    fn own(mut self, name: &str, function: OwnFunction) -> Self {
        self.settings.own.retain(|own| own.0 != name);
        self.settings.own.push((name.to_owned(), function));
        self
    }
}
