//! The JSON Schema of `gateway.yaml`, for editors.

use crate::grammar::Gateway;
use schemars::generate::SchemaSettings;

/// The JSON Schema (draft 2020-12) of the configuration, indented, ending in a newline. The same for
/// every call of the same build.
#[must_use]
pub fn json_schema() -> String {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Gateway>();
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn the_alternatives_of_the_keys_are_in_the_schema() {
        let schema: serde_json::Value = serde_json::from_str(&super::json_schema()).unwrap();
        let alternatives = |mapping: &str| -> Vec<String> {
            let choices = schema["$defs"][mapping]["oneOf"].as_array().unwrap();
            choices.iter().map(|choice| choice["required"][0].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(alternatives("Upstream"), ["url", "urls", "command"]);
        assert_eq!(alternatives("Route"), ["upstream", "upstreams"]);
        let goes_with = |mapping: &str, key: &str| schema["$defs"][mapping]["dependentRequired"][key].clone();
        assert_eq!(goes_with("Upstream", "cwd"), serde_json::json!(["command"]));
        assert_eq!(goes_with("Route", "names"), serde_json::json!(["upstreams"]));
    }

    #[test]
    fn the_committed_schema_is_current() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/gateway.schema.json");
        let schema = super::json_schema();
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(&path, &schema).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == schema, "docs/gateway.schema.json is stale: run with UPDATE_SCHEMA=1");
    }
}
