//! What can be asked about hooks, by their ids.

use super::super::slot::Slot;
use super::super::{Core, DisabledBy};
use crate::HookSpec;
use jackfield_media::Text;

impl<H: Clone> Core<H> {
    /// Whether this hook is not called, and who said so.
    #[must_use]
    pub fn disabled(&self, hook_id: &str) -> Option<DisabledBy> {
        self.hook_of(hook_id).and_then(|hook| self.slots.get(&hook)).and_then(|slot| slot.disabled)
    }

    /// The configuration of the hook of this id.
    #[must_use]
    pub fn spec_of(&self, hook_id: &str) -> Option<&HookSpec> {
        let hook = self.hook_of(hook_id)?;
        self.slots.get(&hook).map(Slot::spec)
    }

    /// The id of the hook of this name.
    #[must_use]
    pub fn id_of(&self, name: &str) -> Option<Text> {
        let mut specs = self.plan.steps.iter().map(|(_, configured)| &configured.spec);
        specs.find(|spec| spec.name.as_str() == name).map(|spec| spec.id.clone())
    }

    /// Id and name of every hook, in the configured order.
    #[must_use]
    pub fn names(&self) -> Vec<(Text, Text)> {
        let specs = self.plan.steps.iter().map(|(_, configured)| &configured.spec);
        specs.map(|spec| (spec.id.clone(), spec.name.clone())).collect()
    }
}
