//! The endpoints of one upstream, which are alike.

use crate::upstream::{BuildError, Upstream};
use narthex_config::model::{Transport, Upstream as Settings, UpstreamId};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Instant;

/// One MCP server, at one endpoint or several.
#[derive(Debug)]
pub struct Group {
    /// Its key under `upstreams:`.
    pub id: UpstreamId,
    /// In the order of the configuration.
    others: Vec<Arc<Upstream>>,
    first: Arc<Upstream>,
}

impl Group {
    /// The endpoints of `settings`. Those whose settings (credential aside) are the same in `previous` are
    /// taken over with their breakers, addresses and catalogues.
    ///
    /// # Errors
    /// The CA file cannot be used.
    pub(crate) fn build(
        id: &UpstreamId,
        settings: &Settings,
        previous: Option<&Self>,
        hasher: &RandomState,
        now: Instant,
    ) -> Result<Self, BuildError> {
        let one = |settings: &Settings| {
            let kept = previous.and_then(|group| group.iter().find(|old| old.same_as(settings)));
            match kept {
                Some(old) => Ok(Arc::clone(old)),
                None => Upstream::new(id.clone(), settings, hasher.hash_one(id.as_str()), now).map(Arc::new),
            }
        };
        let (first, others) = match &settings.transport {
            Transport::Stdio(_) => (one(settings)?, Vec::new()),
            Transport::Http(endpoints) => {
                let at = |url: &url::Url| {
                    let transport = Transport::Http(url.clone().into());
                    one(&Settings { transport, ..settings.clone() })
                };
                (at(&endpoints.first)?, endpoints.others.iter().map(at).collect::<Result<_, _>>()?)
            }
        };
        Ok(Self { id: id.clone(), others, first })
    }

    /// The endpoint that is named first.
    #[must_use]
    pub fn first(&self) -> &Arc<Upstream> {
        &self.first
    }

    /// All endpoints, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// Whether there is more than one endpoint.
    #[must_use]
    pub fn has_several(&self) -> bool {
        !self.others.is_empty()
    }

    /// Whether any endpoint's breaker is closed.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.iter().any(|endpoint| endpoint.is_up())
    }
}
