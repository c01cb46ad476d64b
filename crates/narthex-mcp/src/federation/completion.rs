//! `completion/complete` (2026-07-28, server/utilities/completion): whose argument is to be completed.

use crate::bridge::Object;

/// What `ref` refers to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reference {
    /// `ref/prompt`: the name that the client knows the prompt by.
    Prompt(String),
    /// `ref/resource`: a URI, or a URI template as it was listed.
    Resource(String),
}

/// A `ref` that is missing, malformed or of an unknown type: -32602.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("ref must be a ref/prompt with a name or a ref/resource with a uri")]
pub struct BadReference;

impl Reference {
    /// From `params`.
    ///
    /// # Errors
    /// See [`BadReference`].
    pub fn of(params: &Object) -> Result<Self, BadReference> {
        let reference = params.object("ref").ok_or(BadReference)?;
        let made = match reference.string("type").as_deref() {
            Some("ref/prompt") => reference.string("name").map(Self::Prompt),
            Some("ref/resource") => reference.string("uri").map(Self::Resource),
            _ => None,
        };
        made.ok_or(BadReference)
    }
}

/// `params` with the prompt's name replaced by its upstream's own; every other member, of `ref` too, stays.
///
/// # Errors
/// They refer to no prompt.
pub fn with_prompt(params: &Object, name: &str) -> Result<Object, BadReference> {
    let Reference::Prompt(_) = Reference::of(params)? else { return Err(BadReference) };
    let mut reference = params.object("ref").ok_or(BadReference)?;
    reference.set_string("name", name);
    let mut params = params.clone();
    params.set_object("ref", &reference);
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Object {
        Object::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_reference_is_a_prompts_or_a_resources() {
        for (params, reference) in [
            (r#"{"ref":{"type":"ref/prompt","name":"gh__p"}}"#, Ok(Reference::Prompt("gh__p".to_owned()))),
            (r#"{"ref":{"type":"ref/resource","uri":"a:{x}"}}"#, Ok(Reference::Resource("a:{x}".to_owned()))),
            ("{}", Err(BadReference)),
            (r#"{"ref":"ref/prompt"}"#, Err(BadReference)),
            (r#"{"ref":{"name":"p"}}"#, Err(BadReference)),
            (r#"{"ref":{"type":"ref/tool","name":"p"}}"#, Err(BadReference)),
            (r#"{"ref":{"type":"ref/prompt","uri":"p"}}"#, Err(BadReference)),
            (r#"{"ref":{"type":"ref/prompt","name":1}}"#, Err(BadReference)),
            (r#"{"ref":{"type":"ref/prompt","name":"p","name":"q"}}"#, Err(BadReference)),
            (r#"{"ref":{"type":"ref/resource","name":"p"}}"#, Err(BadReference)),
        ] {
            assert_eq!(Reference::of(&object(params)), reference, "{params}");
        }
    }

    #[test]
    fn the_upstream_is_asked_by_its_own_name_and_the_rest_stays() {
        let params = object(
            r#"{"argument":{"name":"a","value":"v" },"ref":{"type":"ref/prompt","name":"gh__p","title":"T"},"_meta":{"k":1.0}}"#,
        );
        assert_eq!(
            with_prompt(&params, "p\"").unwrap().to_json(),
            r#"{"argument":{"name":"a","value":"v" },"ref":{"type":"ref/prompt","name":"p\"","title":"T"},"_meta":{"k":1.0}}"#
        );
        for params in [r#"{"ref":{"type":"ref/resource","uri":"a:"}}"#, "{}"] {
            assert_eq!(with_prompt(&object(params), "p"), Err(BadReference));
        }
    }
}
