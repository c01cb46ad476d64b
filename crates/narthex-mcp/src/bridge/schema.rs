//! `x-mcp-header`: tool arguments that 2026-07-28 mirrors in `Mcp-Param-*` headers
//! (basic/transports/streamable-http#custom-headers-from-tool-parameters).

use super::Object;
use crate::headers::encode_value;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

const MARK: &str = "x-mcp-header";
/// Largest integer that every JSON reader keeps exact.
const SAFE: i64 = (1 << 53) - 1;

/// The mirrored arguments of one tool.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ParamHeaders(Vec<Param>);

#[derive(Clone, Debug, Eq, PartialEq)]
struct Param {
    /// The header, without `Mcp-Param-`.
    name: String,
    /// The properties to walk through from `arguments`.
    path: Vec<String>,
}

/// A schema whose annotations break the rules: the tool is not to be offered.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the tool's x-mcp-header annotations are invalid")]
pub struct BadAnnotation;

impl ParamHeaders {
    /// Reads the annotations of an `inputSchema`.
    ///
    /// # Errors
    /// A name is no token or not unique, the type cannot be mirrored, or an annotation stands where no
    /// argument can be reached through `properties` alone.
    pub fn from_schema(schema: &Value) -> Result<Self, BadAnnotation> {
        let mut found = Self::default();
        let mut reachable = 0;
        found.walk(schema, &mut Vec::new(), &mut reachable)?;
        if count_marks(schema) != reachable {
            return Err(BadAnnotation);
        }
        let mut seen = HashSet::new();
        let unique = found.0.iter().all(|param| seen.insert(param.name.to_ascii_lowercase()));
        if unique { Ok(found) } else { Err(BadAnnotation) }
    }

    /// The same of a schema's text. One that is too deep or too strange to be understood is good only if it
    /// cannot hold an annotation, however escaped.
    fn from_text(schema: &str) -> Result<Self, BadAnnotation> {
        match serde_json::from_str::<Value>(schema) {
            Ok(schema) => Self::from_schema(&schema),
            Err(_) if schema.contains(MARK) || schema.contains("\\u00") => Err(BadAnnotation),
            Err(_) => Ok(Self::default()),
        }
    }

    fn walk(
        &mut self,
        schema: &Value,
        path: &mut Vec<String>,
        reachable: &mut usize,
    ) -> Result<(), BadAnnotation> {
        if let Some(mark) = schema.get(MARK) {
            let name = mark.as_str().filter(|name| is_token(name)).ok_or(BadAnnotation)?;
            let kind = schema.get("type").and_then(Value::as_str);
            if path.is_empty() || !matches!(kind, Some("integer" | "string" | "boolean")) {
                return Err(BadAnnotation);
            }
            *reachable += 1;
            self.0.push(Param { name: name.to_owned(), path: path.clone() });
        }
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            for (name, property) in properties {
                path.push(name.clone());
                self.walk(property, path, reachable)?;
                path.pop();
            }
        }
        Ok(())
    }

    /// Whether nothing is mirrored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The headers that a call with these `arguments` carries: names without `Mcp-Param-`, encoded values.
    /// An argument that is absent or `null` has none.
    #[must_use]
    pub fn headers(&self, arguments: &Value) -> Vec<(&str, String)> {
        let header = |param: &'_ Param| text_of(reach(arguments, &param.path)?);
        self.0
            .iter()
            .filter_map(|param| Some((param.name.as_str(), encode_value(&header(param)?).into_owned())))
            .collect()
    }

    /// Whether the `Mcp-Param-*` headers of a request say what its body says. `header` gives the decoded
    /// value of a header, by its name without `Mcp-Param-`: the outer `None` if there is none, the inner
    /// one if it cannot be decoded.
    #[must_use]
    pub fn agree(&self, arguments: &Value, header: impl Fn(&str) -> Option<Option<String>>) -> bool {
        self.0.iter().all(|param| {
            let expected = reach(arguments, &param.path);
            match (expected.and_then(text_of), header(&param.name)) {
                (None, None) => true,
                (Some(text), Some(Some(value))) => same(expected, &text, &value),
                _ => false,
            }
        })
    }
}

fn reach<'v>(arguments: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(arguments, |value, name| value.get(name))
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => Some(integer.to_string()),
            None => Some(integral(number.as_f64()?).map_or_else(|| number.to_string(), |i| i.to_string())),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Integers are compared as numbers: `42.0` is `42`.
fn same(expected: Option<&Value>, text: &str, value: &str) -> bool {
    let numeric = expected.is_some_and(Value::is_number);
    text == value
        || numeric
            && value.parse::<f64>().ok().and_then(integral).map(|i| i.to_string()) == Some(text.to_owned())
}

#[expect(clippy::cast_possible_truncation, reason = "within the range that f64 keeps exact")]
#[expect(clippy::cast_precision_loss, reason = "the bound itself is exact")]
fn integral(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() <= SAFE as f64).then_some(number as i64)
}

fn count_marks(schema: &Value) -> usize {
    match schema {
        Value::Object(members) => {
            // A property of that very name is no annotation.
            let own = usize::from(members.get(MARK).is_some());
            own + members
                .iter()
                .filter(|(name, _)| !is_data(name))
                .map(|(name, value)| match (name.as_str(), value) {
                    (
                        "properties" | "patternProperties" | "dependentSchemas" | "$defs" | "definitions",
                        Value::Object(named),
                    ) => named.values().map(count_marks).sum(),
                    _ => count_marks(value),
                })
                .sum::<usize>()
        }
        Value::Array(items) => items.iter().map(count_marks).sum(),
        _ => 0,
    }
}

/// Keywords whose value is data, not a schema.
fn is_data(keyword: &str) -> bool {
    matches!(keyword, "const" | "dependentRequired" | "enum" | "default" | "examples" | "example")
        || keyword == MARK
}

fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// The tools of a `tools/list` result that mirror arguments, and those whose annotations are invalid.
#[derive(Clone, Debug, Default)]
pub struct Schemas {
    /// By tool name; only tools that mirror something.
    pub mirrored: HashMap<String, ParamHeaders>,
    /// Tools that are not to be offered.
    pub invalid: HashSet<String>,
    /// Tools that only run as tasks (2025-11-25, basic/utilities/tasks#tool-level-negotiation).
    pub tasks: HashSet<String>,
}

impl Schemas {
    /// Takes in those of another page.
    pub fn extend(&mut self, page: Self) {
        self.mirrored.extend(page.mirrored);
        self.invalid.extend(page.invalid);
        self.tasks.extend(page.tasks);
    }
}

/// Reads the schemas of a `tools/list` result.
#[must_use]
pub fn read(result: &Object) -> Schemas {
    let mut schemas = Schemas::default();
    for tool in result.array("tools").unwrap_or_default() {
        let Ok(tool) = Object::parse(tool.get().as_bytes()) else { continue };
        let Some(name) = tool.string("name") else { continue };
        let support = tool.object("execution").and_then(|execution| execution.string("taskSupport"));
        if support.as_deref() == Some("required") {
            schemas.tasks.insert(name.clone());
        }
        match ParamHeaders::from_text(tool.get("inputSchema").unwrap_or("null")) {
            Ok(headers) if headers.is_empty() => {}
            Ok(headers) => drop(schemas.mirrored.insert(name, headers)),
            Err(_) => drop(schemas.invalid.insert(name)),
        }
    }
    schemas
}

/// What one tool of a list is to clients of either era.
#[derive(Clone, Debug)]
pub struct Examined<'t> {
    /// Its JSON text for clients of 2026-07-28; `None`: they are not to be offered it.
    pub modern: Option<Cow<'t, str>>,
    /// Its JSON text for older clients, where that is another; the inner `None`: they are not to be offered it.
    pub legacy: Option<Option<String>>,
    /// The arguments that it mirrors, if any.
    pub headers: Option<ParamHeaders>,
    /// It only runs as a task (2025-11-25, basic/utilities/tasks#tool-level-negotiation).
    pub needs_task: bool,
}

/// Looks into one tool of a `tools/list` result of whatever era.
#[must_use]
pub fn examine(text: &str) -> Examined<'_> {
    let unfit = Examined { modern: None, legacy: Some(None), headers: None, needs_task: false };
    let Ok(mut tool) = Object::parse(text.as_bytes()) else { return unfit };
    let Ok(headers) = ParamHeaders::from_text(tool.get("inputSchema").unwrap_or("null")) else {
        return unfit;
    };
    let mut modern = Cow::Borrowed(text);
    let mut needs_task = false;
    if let Some(mut execution) = tool.object("execution")
        && let Some(support) = execution.string("taskSupport")
    {
        // In 2025-11-25 the client decides, which nobody here does for it; since then the server does.
        needs_task = support == "required";
        execution.remove("taskSupport");
        if execution.is_empty() {
            tool.remove("execution");
        } else {
            tool.set_object("execution", &execution);
        }
        modern = Cow::Owned(tool.to_json());
    }
    let is_of_object = |schema: Object| schema.string("type").as_deref() == Some("object");
    let fits = headers.is_empty()
        && (!tool.has("outputSchema") || tool.object("outputSchema").is_some_and(is_of_object));
    let legacy = (!fits).then(|| tool_to_legacy(tool).map(|tool| tool.to_json()));
    let headers = (!headers.is_empty()).then_some(headers);
    Examined { modern: Some(modern), legacy, headers, needs_task }
}

/// Makes a modern server's `tools` what a legacy client reads: no tool with invalid annotations, no
/// annotations, and no `outputSchema` but of an object (2025-11-25, server/tools).
pub(super) fn tools_to_legacy(result: &mut Object) {
    let Some(tools) = result.array("tools") else { return };
    let mut kept = Vec::with_capacity(tools.len());
    for text in tools {
        let tool = Object::parse(text.get().as_bytes()).ok().and_then(tool_to_legacy);
        kept.extend(tool.and_then(|tool| serde_json::value::RawValue::from_string(tool.to_json()).ok()));
    }
    result.set_array("tools", &kept);
}

fn tool_to_legacy(mut tool: Object) -> Option<Object> {
    let headers = |tool: &Object| ParamHeaders::from_text(tool.get("inputSchema").unwrap_or("null")).ok();
    if !headers(&tool)?.is_empty() {
        let mut schema = tool.object("inputSchema")?;
        unmark(&mut schema);
        tool.set_object("inputSchema", &schema);
        // Where a member is named twice they cannot be taken out.
        headers(&tool).filter(ParamHeaders::is_empty)?;
    }
    let is_of_object = |schema: Object| schema.string("type").as_deref() == Some("object");
    if !tool.object("outputSchema").is_some_and(is_of_object) {
        tool.remove("outputSchema");
    }
    Some(tool)
}

/// Takes the annotations out, along `properties` alone: that is the only place where they may stand.
fn unmark(schema: &mut Object) {
    schema.remove(MARK);
    let Some(mut properties) = schema.object("properties") else { return };
    let names: Vec<String> = properties.iter().map(|(name, _)| name.to_owned()).collect();
    for name in names {
        if let Some(mut property) = properties.object(&name) {
            unmark(&mut property);
            properties.set_object(&name, &property);
        }
    }
    schema.set_object("properties", &properties);
}

/// Says of all tools whether they may run as tasks: in 2025-11-25 the client decides, and has to know;
/// since then the server does.
pub fn set_task_support(result: &mut Object, support: Option<&str>) {
    let Some(tools) = result.array("tools") else { return };
    let changed = tools.iter().filter_map(|text| {
        let mut tool = Object::parse(text.get().as_bytes()).ok()?;
        let mut execution = tool.object("execution").unwrap_or_default();
        match support {
            Some(support) => execution.set_string("taskSupport", support),
            None => drop(execution.remove("taskSupport")),
        }
        if execution.is_empty() {
            tool.remove("execution");
        } else {
            tool.set_object("execution", &execution);
        }
        serde_json::value::RawValue::from_string(tool.to_json()).ok()
    });
    let changed: Vec<_> = changed.collect();
    result.set_array("tools", &changed);
}

/// Takes the tools with invalid annotations out of a `tools/list` result (a client's duty, 2026-07-28,
/// basic/transports/streamable-http).
pub fn drop_invalid(result: &mut Object, schemas: &Schemas) {
    if schemas.invalid.is_empty() {
        return;
    }
    retain(result, |name| !schemas.invalid.contains(name));
}

/// Leaves the tools whose name passes.
pub fn retain(result: &mut Object, keep: impl Fn(&str) -> bool) {
    let Some(mut tools) = result.array("tools") else { return };
    tools.retain(|tool| {
        let tool = Object::parse(tool.get().as_bytes()).ok();
        tool.and_then(|tool| tool.string("name")).is_some_and(|name| keep(&name))
    });
    result.set_array("tools", &tools);
}

/// The names of the tools in a `tools/list` result.
#[must_use]
pub fn names(result: &Object) -> Vec<String> {
    let tools = result.array("tools").unwrap_or_default();
    tools.iter().filter_map(|tool| Object::parse(tool.get().as_bytes()).ok()?.string("name")).collect()
}
