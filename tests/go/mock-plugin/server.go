package main

import (
	"context"

	"github.com/openbao/openbao/sdk/v2/framework"
	"github.com/openbao/openbao/sdk/v2/logical"
)

// serverPaths hand on what the server says when it is asked.
func (b *backend) serverPaths() []*framework.Path {
	return []*framework.Path{
		{
			Pattern:    "server/caller",
			Operations: on(b.readCaller, logical.ReadOperation),
		},
		{
			Pattern: "server/password/" + framework.GenericNameRegex("policy"),
			Fields: map[string]*framework.FieldSchema{
				"policy": {Type: framework.TypeString, Description: "Name of a password policy."},
			},
			Operations: on(b.readPassword, logical.ReadOperation),
		},
	}
}

// readCaller tells who asks, as the server knows them.
func (b *backend) readCaller(_ context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	entity, err := b.System().EntityInfo(req.EntityID)
	if err != nil {
		return nil, err
	}
	groups, err := b.System().GroupsForEntity(req.EntityID)
	if err != nil {
		return nil, err
	}
	data := map[string]interface{}{"entity_id": req.EntityID, "known": entity != nil}
	names := make([]string, 0, len(groups))
	for _, group := range groups {
		names = append(names, group.Name)
	}
	data["groups"] = names
	if entity != nil {
		data["name"] = entity.Name
		data["disabled"] = entity.Disabled
		data["metadata"] = entity.Metadata
		aliases := make([]string, 0, len(entity.Aliases))
		for _, alias := range entity.Aliases {
			aliases = append(aliases, alias.MountType+":"+alias.Name)
		}
		data["aliases"] = aliases
	}
	return values(data), nil
}

// readPassword has a password made.
func (b *backend) readPassword(ctx context.Context, _ *logical.Request, fields *framework.FieldData) (*logical.Response, error) {
	password, err := b.System().GeneratePasswordFromPolicy(ctx, fields.Get("policy").(string))
	if err != nil {
		return nil, err
	}
	return values(map[string]interface{}{"password": password}), nil
}
