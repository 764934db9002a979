package main

import (
	"context"
	"fmt"
	"os"

	"github.com/openbao/openbao/sdk/v2/framework"
	"github.com/openbao/openbao/sdk/v2/logical"
)

// processPaths tell about the process and its instance.
func (b *backend) processPaths() []*framework.Path {
	return []*framework.Path{
		{
			Pattern: "internal",
			Fields: map[string]*framework.FieldSchema{
				"value": {Type: framework.TypeString, Description: "Held in memory only."},
			},
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation:   &framework.PathOperation{Callback: b.readInternal},
				logical.UpdateOperation: &framework.PathOperation{Callback: b.writeInternal},
			},
		},
		{
			Pattern: "env/" + framework.GenericNameRegex("name"),
			Fields: map[string]*framework.FieldSchema{
				"name": {Type: framework.TypeString, Description: "Name of an environment variable."},
			},
			Operations: on(readVariable, logical.ReadOperation),
		},
		{
			Pattern:    "process",
			Operations: on(readProcess, logical.ReadOperation),
		},
		{
			Pattern: "stderr",
			Fields: map[string]*framework.FieldSchema{
				"line": {Type: framework.TypeString, Description: "Written as it is to stderr."},
			},
			Operations: on(writeStderr, logical.UpdateOperation),
		},
		{
			Pattern: "hang",
			Fields: map[string]*framework.FieldSchema{
				"value": {Type: framework.TypeString, Description: "Stored before the call hangs."},
			},
			Operations: on(hang, logical.UpdateOperation),
		},
	}
}

func (b *backend) readInternal(context.Context, *logical.Request, *framework.FieldData) (*logical.Response, error) {
	return values(map[string]interface{}{"value": b.getInternal()}), nil
}

func (b *backend) writeInternal(_ context.Context, _ *logical.Request, fields *framework.FieldData) (*logical.Response, error) {
	b.setInternal(fields.Get("value").(string))
	return nil, nil
}

func readVariable(_ context.Context, _ *logical.Request, fields *framework.FieldData) (*logical.Response, error) {
	value, set := os.LookupEnv(fields.Get("name").(string))
	return values(map[string]interface{}{"value": value, "set": set}), nil
}

func readProcess(context.Context, *logical.Request, *framework.FieldData) (*logical.Response, error) {
	folder, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	descriptors, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil, err
	}
	return values(map[string]interface{}{
		"pid":         os.Getpid(),
		"args":        os.Args[1:],
		"folder":      folder,
		"descriptors": len(descriptors),
	}), nil
}

func writeStderr(_ context.Context, _ *logical.Request, fields *framework.FieldData) (*logical.Response, error) {
	_, err := fmt.Fprintln(os.NewFile(2, "stderr"), fields.Get("line").(string))
	return nil, err
}

// hang stores its value and then never answers, so that whoever tests can kill
// the process in the midst of a write that has reached storage.
func hang(ctx context.Context, req *logical.Request, fields *framework.FieldData) (*logical.Response, error) {
	entry, err := logical.StorageEntryJSON("kv/hang", kept{Value: fields.Get("value").(string)})
	if err != nil {
		return nil, err
	}
	if err := req.Storage.Put(ctx, entry); err != nil {
		return nil, err
	}
	<-ctx.Done()
	return nil, ctx.Err()
}
