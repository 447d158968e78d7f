//! Data with fields and methods, read where it lies.

use crate::{CallError, Value};

/// What a value with fields and methods shows to templates.
///
/// Field names and methods are those a template spells: `.Subject.ID`, `.Request.Header "Accept"`. Methods run only
/// when a template calls them, so that an expensive one (reading a body) costs nothing elsewhere.
///
/// ```
/// use heimdall_template::{CallError, Engine, Object, Value};
///
/// struct User { name: String }
///
/// impl Object for User {
///     fn type_name(&self) -> &str { "*example.User" }
///     fn field<'a>(&'a self, name: &str) -> Option<Value<'a>> {
///         (name == "Name").then(|| Value::from(self.name.as_str()))
///     }
///     fn call<'a>(&'a self, name: &str, args: &[Value<'a>]) -> Option<Result<Value<'a>, CallError>> {
///         (name == "Greet").then(|| {
///             let other = args.first().and_then(Value::as_str).ok_or("Greet wants a name")?;
///             Ok(Value::from(format!("{} greets {other}", self.name)))
///         })
///     }
/// }
///
/// let template = Engine::default().parse("hello", r#"{{ .Name }}: {{ .Greet "Bob" }}"#)?;
/// let user = User { name: "Alice".into() };
/// assert_eq!(template.render_to_string(Value::object(&user))?, "Alice: Alice greets Bob");
/// # Ok::<(), heimdall_template::Error>(())
/// ```
pub trait Object {
    /// Go's name of the type, as `%T` and `typeOf` print it; a leading `*` makes it a pointer.
    fn type_name(&self) -> &str;

    /// The field of this name; `None` when there is none, which is an error of the template.
    fn field<'a>(&'a self, name: &str) -> Option<Value<'a>>;

    /// Calls the method of this name; `None` when there is none. A method wins over a field of the same name.
    fn call<'a>(&'a self, name: &str, args: &[Value<'a>]) -> Option<Result<Value<'a>, CallError>> {
        let _ = (name, args);
        None
    }

    /// Names of the fields, in the order in which printing and `toJson` show them.
    fn field_names(&self) -> &[&str] {
        &[]
    }

    /// Whether this is the `nil` of a pointer type: false to `if`, `null` in JSON, equal to `nil`.
    fn is_nil(&self) -> bool {
        false
    }

    /// What Go's `String` method would give; `None` prints the fields.
    fn text(&self) -> Option<String> {
        None
    }
}

/// A read-only map with string keys, for maps that are not JSON.
///
/// Go keeps the types of maps apart, so does this: an unknown key is no value, not an error.
pub trait Mapping {
    /// Go's name of the type.
    fn type_name(&self) -> &str {
        "map[string]interface {}"
    }

    /// The value at a key.
    fn get<'a>(&'a self, key: &str) -> Option<Value<'a>>;

    /// All entries, in any order.
    fn entries<'a>(&'a self) -> Vec<(&'a str, Value<'a>)>;

    /// How many entries there are.
    fn len(&self) -> usize {
        self.entries().len()
    }

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

macro_rules! mapping {
    ($map:ty, $name:literal, $value:ident => $convert:expr) => {
        impl Mapping for $map {
            fn type_name(&self) -> &str {
                $name
            }

            fn get<'a>(&'a self, key: &str) -> Option<Value<'a>> {
                <$map>::get(self, key).map(|$value| $convert)
            }

            fn entries<'a>(&'a self) -> Vec<(&'a str, Value<'a>)> {
                self.iter()
                    .map(|(key, $value)| (key.as_str(), $convert))
                    .collect()
            }

            fn len(&self) -> usize {
                <$map>::len(self)
            }
        }
    };
}

mapping!(std::collections::BTreeMap<String, String>, "map[string]string", value => Value::from(value.as_str()));
mapping!(std::collections::HashMap<String, String>, "map[string]string", value => Value::from(value.as_str()));
mapping!(std::collections::BTreeMap<String, Vec<String>>, "map[string][]string", value => Value::strings(value));
mapping!(std::collections::HashMap<String, Vec<String>>, "map[string][]string", value => Value::strings(value));
mapping!(std::collections::BTreeMap<String, serde_json::Value>, "map[string]interface {}", value => Value::from(value));
mapping!(std::collections::HashMap<String, serde_json::Value>, "map[string]interface {}", value => Value::from(value));
