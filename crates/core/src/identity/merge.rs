//! Several entities become one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use boltwork_logical::Error;

use super::{
    Change, IdentityStore, checks,
    entry::{Alias, Entity, Group},
    state::State,
};

/// Which entities become part of which.
pub struct Merge {
    /// The entity that stays.
    pub into: String,
    /// Those that become part of it.
    pub from: Vec<String>,
    /// Of two aliases at one mount, the one that stays.
    pub aliases_to_keep: Vec<String>,
}

/// An alias that stands in the way of a merge.
#[derive(Debug)]
pub struct Clash {
    /// Its name.
    pub alias: String,
    /// Name and id of its entity.
    pub entity: (String, String),
    /// Accessor of its mount.
    pub mount_accessor: String,
}

/// How a merge ended.
pub enum Merged {
    /// They are one.
    Done,
    /// Nothing was changed: the text says why, and the aliases are those that it speaks of.
    Clashes(String, Vec<Clash>),
}

impl IdentityStore {
    /// Merges entities. Their policies are not taken over, as in Vault; their groups are.
    pub async fn merge_entities(self: &Arc<Self>, merge: Merge) -> Result<Merged, Error> {
        let turn = self.turn().await;
        let change = {
            let state = self.state();
            let (into, from) = participants(&state, &merge)?;
            if merge.aliases_to_keep.is_empty() {
                let (text, clashes) = clashes(&into, &from)?;
                if !clashes.is_empty() {
                    return Ok(Merged::Clashes(text, clashes));
                }
            }
            merged(&state, into, &from, &merge.aliases_to_keep)?
        };
        self.commit(turn, change).await?;
        Ok(Merged::Done)
    }
}

fn participants(state: &State, merge: &Merge) -> Result<(Entity, Vec<Arc<Entity>>), Error> {
    let invalid = |text: &str| Error::invalid(text);
    let into =
        state.entity(&merge.into).ok_or_else(|| invalid("entity id to merge to is invalid"))?;
    if merge.from.len() > 1 && merge.aliases_to_keep.len() > 1 {
        return Err(invalid(
            "aliases conflicts cannot be resolved with multiple from entity ids - merge one entity \
             at a time",
        ));
    }
    let ids: BTreeSet<&String> = merge.from.iter().collect();
    let mut from = Vec::with_capacity(ids.len());
    for id in ids {
        if *id == merge.into {
            return Err(invalid("to_entity_id should not be present in from_entity_ids"));
        }
        let entity = state.entity(id);
        from.push(Arc::clone(entity.ok_or_else(|| invalid("entity id to merge from is invalid"))?));
    }
    Ok((Entity::clone(into), from))
}

/// Aliases at the same mount, and what Vault says about them.
fn clashes(into: &Entity, from: &[Arc<Entity>]) -> Result<(String, Vec<Clash>), Error> {
    let clash = |entity: &Entity, alias: &Alias| Clash {
        alias: alias.name.clone(),
        entity: (entity.name.clone(), entity.id.clone()),
        mount_accessor: alias.mount_accessor.clone(),
    };
    let mut texts = vec![
        "toEntity and at least one fromEntity have aliases with the same mount accessor, repeat \
         the merge request specifying exactly one fromEntity, clashes: "
            .to_owned(),
    ];
    let (mut found, mut seen) = (Vec::new(), BTreeMap::new());
    for entity in from {
        for theirs in &entity.aliases {
            let accessor = &theirs.mount_accessor;
            if *seen.entry(accessor).or_insert(&entity.id) != &entity.id {
                return Err(Error::invalid(format!(
                    "mount accessor {accessor} found in multiple fromEntities, merge should be \
                     done with one fromEntity at a time"
                )));
            }
            for ours in into.aliases.iter().filter(|ours| ours.mount_accessor == *accessor) {
                texts.push(format!(
                    "mountAccessor: {accessor}, toEntity ID: {}, fromEntity ID: {}, conflicting \
                     toEntity alias ID: {}, conflicting fromEntity alias ID: {}",
                    into.id, entity.id, ours.id, theirs.id
                ));
                found.extend([clash(into, ours), clash(entity, theirs)]);
            }
        }
    }
    let lines: String = texts.iter().map(|text| format!("\t* {text}\n")).collect();
    Ok((format!("{} errors occurred:\n{lines}\n", texts.len()), found))
}

fn merged(
    state: &State,
    mut into: Entity,
    from: &[Arc<Entity>],
    keep: &[String],
) -> Result<Change, Error> {
    for entity in from {
        for theirs in &entity.aliases {
            take_alias(&mut into, entity, theirs, keep)?;
        }
        into.merged_entity_ids.extend(entity.merged_entity_ids.iter().cloned());
        into.merged_entity_ids.push(entity.id.clone());
        into.external_group_ids.extend(entity.external_group_ids.iter().cloned());
    }
    let gone: BTreeSet<&str> = from.iter().map(|entity| entity.id.as_str()).collect();
    let mut groups = state.groups_without(&gone);
    groups.iter_mut().for_each(|group| add_member(group, &into.id));
    if groups.iter().any(|group| group.member_entity_ids.len() > checks::MAX_MEMBERS) {
        return Err(Error::invalid("a group would have too many members"));
    }
    Ok(Change {
        entities: vec![into],
        gone_entities: gone.into_iter().map(str::to_owned).collect(),
        groups,
        ..Change::default()
    })
}

fn take_alias(
    into: &mut Entity,
    entity: &Entity,
    theirs: &Alias,
    keep: &[String],
) -> Result<(), Error> {
    let at = into.aliases.iter().position(|ours| ours.mount_accessor == theirs.mount_accessor);
    if let Some(at) = at {
        let ours = &into.aliases[at].id;
        if keep.contains(ours) {
            return Ok(());
        }
        if !keep.contains(&theirs.id) {
            return Err(Error::invalid(format!(
                "conflicting mount accessors in following alias IDs and neither were present in \
                 conflicting_alias_ids_to_keep: {}, {ours}",
                theirs.id
            )));
        }
        into.aliases.remove(at);
    }
    let mut alias = theirs.clone();
    alias.canonical_id.clone_from(&into.id);
    alias.merged_from_canonical_ids.push(entity.id.clone());
    into.aliases.push(alias);
    Ok(())
}

fn add_member(group: &mut Group, id: &str) {
    if let Err(at) = group.member_entity_ids.binary_search_by(|member| member.as_str().cmp(id)) {
        group.member_entity_ids.insert(at, id.to_owned());
    }
}
