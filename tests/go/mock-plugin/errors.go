package main

import (
	"context"
	"errors"
	"net/rpc"
	"os"

	"github.com/openbao/openbao/sdk/v2/framework"
	"github.com/openbao/openbao/sdk/v2/helper/errutil"
	"github.com/openbao/openbao/sdk/v2/logical"
)

// errorPaths fail in every way that a plugin can fail while it answers.
func (b *backend) errorPaths() []*framework.Path {
	return []*framework.Path{
		{
			// A server takes this very text for the death of the plugin,
			// starts it anew and asks once more.
			Pattern: "errors/rpc",
			Operations: on(func(context.Context, *logical.Request, *framework.FieldData) (*logical.Response, error) {
				return nil, rpc.ErrShutdown
			}, logical.ReadOperation, logical.UpdateOperation),
		},
		{
			Pattern: "errors/kill",
			Operations: on(func(context.Context, *logical.Request, *framework.FieldData) (*logical.Response, error) {
				os.Exit(3)
				return nil, nil
			}, logical.ReadOperation, logical.UpdateOperation),
		},
		{
			Pattern: "errors/panic",
			Operations: on(func(context.Context, *logical.Request, *framework.FieldData) (*logical.Response, error) {
				// In a goroutine of its own nothing recovers it.
				go panic("mock-plugin panics as it was asked to")
				select {}
			}, logical.ReadOperation, logical.UpdateOperation),
		},
		{
			Pattern: "errors/type",
			Fields: map[string]*framework.FieldSchema{
				"err_type": {Type: framework.TypeInt, Description: "Number of the error kind on the wire."},
				"err_code": {Type: framework.TypeInt, Description: "Status of a coded error.", Default: 418},
			},
			Operations: on(typedError, logical.ReadOperation, logical.UpdateOperation),
		},
		{
			Pattern: "errors/response",
			Operations: on(func(context.Context, *logical.Request, *framework.FieldData) (*logical.Response, error) {
				return logical.ErrorResponse("an error response of the mock"), nil
			}, logical.ReadOperation, logical.UpdateOperation),
		},
	}
}

// kinds holds the errors that have a number of their own on the wire.
var kinds = map[int]error{
	0:  errors.New("a plain error of the mock"),
	1:  errutil.UserError{Err: "a user error of the mock"},
	2:  errutil.InternalError{Err: "an internal error of the mock"},
	4:  &logical.StatusBadRequest{Err: "a bad request of the mock"},
	5:  logical.ErrUnsupportedOperation,
	6:  logical.ErrUnsupportedPath,
	7:  logical.ErrInvalidRequest,
	8:  logical.ErrPermissionDenied,
	9:  logical.ErrMultiAuthzPending,
	10: logical.ErrUnrecoverable,
}

func typedError(_ context.Context, _ *logical.Request, fields *framework.FieldData) (*logical.Response, error) {
	kind := fields.Get("err_type").(int)
	if kind == 3 {
		return nil, logical.CodedError(fields.Get("err_code").(int), "a coded error of the mock")
	}
	if err, known := kinds[kind]; known {
		return nil, err
	}
	return logical.ErrorResponse("err_type %d is not a kind of error", kind), nil
}
