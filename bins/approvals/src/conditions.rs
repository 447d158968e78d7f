use cel::{Context, Program, Value as Cel};
use heimdall_approval::workflows::Conditions;
use serde_json::Value;

/// Conditions of steps as CEL over the variable `data`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CelConditions;

impl Conditions for CelConditions {
    fn holds(&self, expression: &str, data: &Value) -> Result<bool, String> {
        let program = Program::compile(expression).map_err(|error| error.to_string())?;
        let mut context = Context::default();
        context
            .add_variable("data", data)
            .map_err(|error| error.to_string())?;
        match program.execute(&context) {
            Ok(Cel::Bool(holds)) => Ok(holds),
            Ok(_) => Err("the condition is neither true nor false".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}
