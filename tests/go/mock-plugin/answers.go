package main

import (
	"context"
	"net/http"
	"strings"

	"github.com/openbao/openbao/sdk/v2/framework"
	"github.com/openbao/openbao/sdk/v2/logical"
)

// answerPaths give the unusual kinds of answer.
func (b *backend) answerPaths() []*framework.Path {
	return []*framework.Path{
		{
			Pattern:    "raw",
			Operations: on(raw, logical.ReadOperation, logical.UpdateOperation),
		},
		{
			Pattern:    "special",
			Operations: on(special, logical.ReadOperation),
		},
		{
			Pattern: "echo",
			Fields: map[string]*framework.FieldSchema{
				"size": {Type: framework.TypeInt, Description: "Length of a text to send back."},
			},
			Operations: on(echo, logical.ReadOperation, logical.UpdateOperation),
		},
		{
			Pattern: "warn",
			Operations: on(func(context.Context, *logical.Request, *framework.FieldData) (*logical.Response, error) {
				answer := values(map[string]interface{}{"value": "warned"})
				answer.AddWarning("a warning of the mock")
				return answer, nil
			}, logical.ReadOperation),
		},
	}
}

// raw answers bytes, not a string: a server takes a string that happens to be
// valid base64, as this one is, for base64.
func raw(context.Context, *logical.Request, *framework.FieldData) (*logical.Response, error) {
	return values(map[string]interface{}{
		logical.HTTPContentType: "text/plain",
		logical.HTTPRawBody:     []byte("Response"),
		logical.HTTPStatusCode:  http.StatusOK,
	}), nil
}

// special is reached without a token.
func special(context.Context, *logical.Request, *framework.FieldData) (*logical.Response, error) {
	return values(map[string]interface{}{"data": "foo"}), nil
}

// echo shows the request as the plugin saw it. It leaves the token itself out,
// and says only whether there was one and how long it is.
func echo(_ context.Context, req *logical.Request, fields *framework.FieldData) (*logical.Response, error) {
	return values(map[string]interface{}{
		"operation":    string(req.Operation),
		"path":         req.Path,
		"data":         req.Data,
		"headers":      req.Headers,
		"mount_point":  req.MountPoint,
		"mount_type":   req.MountType,
		"display_name": req.DisplayName,
		"token_length": len(req.ClientToken),
		"has_accessor": req.ClientTokenAccessor != "",
		"text":         strings.Repeat("x", fields.Get("size").(int)),
	}), nil
}
