package main

import (
	"context"
	"errors"

	"github.com/openbao/openbao/sdk/v2/framework"
	"github.com/openbao/openbao/sdk/v2/logical"
)

// storagePaths keep values in the mount's storage.
func (b *backend) storagePaths() []*framework.Path {
	return []*framework.Path{
		{
			Pattern: "kv/?$",
			Fields: map[string]*framework.FieldSchema{
				"after": {Type: framework.TypeString, Description: "List only keys behind this one."},
				"limit": {Type: framework.TypeInt, Description: "List at most so many keys; 0 means all."},
			},
			Operations: on(listKeys, logical.ListOperation),
		},
		{
			Pattern: "kv/" + framework.MatchAllRegex("key"),
			Fields: map[string]*framework.FieldSchema{
				"key":     {Type: framework.TypeString, Description: "Where the value is kept."},
				"value":   {Type: framework.TypeString, Description: "The value."},
				"version": {Type: framework.TypeInt, Description: "A number that is kept with it."},
			},
			ExistenceCheck: keyExists,
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation:   &framework.PathOperation{Callback: readKey},
				logical.CreateOperation: &framework.PathOperation{Callback: writeKey},
				logical.UpdateOperation: &framework.PathOperation{Callback: writeKey},
				logical.DeleteOperation: &framework.PathOperation{Callback: deleteKey},
			},
		},
	}
}

type kept struct {
	Value   string `json:"value"`
	Version int    `json:"version"`
	// How is the operation that wrote the value: create or update.
	How string `json:"how"`
}

func storageKey(fields *framework.FieldData) string {
	return "kv/" + fields.Get("key").(string)
}

func keyExists(ctx context.Context, req *logical.Request, fields *framework.FieldData) (bool, error) {
	entry, err := req.Storage.Get(ctx, storageKey(fields))
	return entry != nil, err
}

func readKey(ctx context.Context, req *logical.Request, fields *framework.FieldData) (*logical.Response, error) {
	entry, err := req.Storage.Get(ctx, storageKey(fields))
	if err != nil || entry == nil {
		return nil, err
	}
	var found kept
	if err := entry.DecodeJSON(&found); err != nil {
		return nil, err
	}
	return values(map[string]interface{}{
		"value": found.Value, "version": found.Version, "how": found.How,
	}), nil
}

func writeKey(ctx context.Context, req *logical.Request, fields *framework.FieldData) (*logical.Response, error) {
	entry, err := logical.StorageEntryJSON(storageKey(fields), kept{
		Value:   fields.Get("value").(string),
		Version: fields.Get("version").(int),
		How:     string(req.Operation),
	})
	if err != nil {
		return nil, err
	}
	return nil, req.Storage.Put(ctx, entry)
}

func deleteKey(ctx context.Context, req *logical.Request, fields *framework.FieldData) (*logical.Response, error) {
	return nil, req.Storage.Delete(ctx, storageKey(fields))
}

func listKeys(ctx context.Context, req *logical.Request, fields *framework.FieldData) (*logical.Response, error) {
	limit := fields.Get("limit").(int)
	if limit <= 0 {
		limit = -1
	}
	keys, err := req.Storage.ListPage(ctx, "kv/", fields.Get("after").(string), limit)
	if err != nil {
		return nil, err
	}
	return logical.ListResponse(keys), nil
}

// transactionPaths write two keys at once, or neither.
func (b *backend) transactionPaths() []*framework.Path {
	return []*framework.Path{{
		Pattern: "tx/" + framework.GenericNameRegex("end"),
		Fields: map[string]*framework.FieldSchema{
			"end":   {Type: framework.TypeString, Description: "commit or rollback."},
			"value": {Type: framework.TypeString, Description: "The value of both keys."},
		},
		Operations: on(writePair, logical.UpdateOperation),
	}}
}

// errNoTransactions says that the server's storage cannot do what was asked.
var errNoTransactions = errors.New("the storage of this mount has no transactions")

func writePair(ctx context.Context, req *logical.Request, fields *framework.FieldData) (*logical.Response, error) {
	storage, able := req.Storage.(logical.TransactionalStorage)
	if !able {
		return nil, errNoTransactions
	}
	transaction, err := storage.BeginTx(ctx)
	if err != nil {
		return nil, err
	}
	defer transaction.Rollback(ctx) // Without effect after a commit.
	value := fields.Get("value").(string)
	for _, key := range []string{"kv/tx-one", "kv/tx-two"} {
		entry, err := logical.StorageEntryJSON(key, kept{Value: value})
		if err != nil {
			return nil, err
		}
		if err := transaction.Put(ctx, entry); err != nil {
			return nil, err
		}
	}
	if fields.Get("end").(string) != "commit" {
		return nil, transaction.Rollback(ctx)
	}
	return nil, transaction.Commit(ctx)
}
