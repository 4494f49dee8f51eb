package issue

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func TestCSRsAreNotLogged(t *testing.T) {
	t.Parallel()
	pem := encodeCSR(newCSR(t, newKey(t), "d1.devices.example.com"))
	start := string(pem[40:70])
	for name, message := range map[string]string{
		"field error, text":  field.Invalid(field.NewPath("spec", "request"), string(pem), "cannot decode").Error(),
		"field error, bytes": field.Invalid(field.NewPath("spec", "request"), pem, "cannot decode").Error(),
		"PEM":                "cannot decode " + string(pem),
		"base64":             "cannot decode " + base64.StdEncoding.EncodeToString(pem),
		"Go bytes":           fmt.Sprintf("cannot decode %#v", pem),
		"numbers":            fmt.Sprintf("cannot decode %v", pem),
		"hexadecimal":        fmt.Sprintf("cannot decode %x", pem),
		"spaced hexadecimal": fmt.Sprintf("cannot decode % x", pem),
	} {
		got := redact(message)
		if strings.Contains(got, start) || len(got) > 250 || !strings.Contains(got, "cannot decode") {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestReasonsAreLogged(t *testing.T) {
	t.Parallel()
	cause := apierrors.NewInvalid(schema.GroupKind{Group: "cert-manager.io", Kind: "CertificateRequest"}, "corp-0123456789abcdef0123", field.ErrorList{
		field.Invalid(field.NewPath("spec", "request"), []byte("secret"), "encoded CSR error: the KeyUsages [ 'digital signature' ] do not match"),
	})
	err := judgeCreateError(&redactedError{fmt.Errorf("create: %w", cause)})
	got := err.Error()
	for _, part := range []string{"corp-0123456789abcdef0123", "spec.request: Invalid value: (omitted)", "the KeyUsages [ 'digital signature' ] do not match"} {
		if !strings.Contains(got, part) {
			t.Errorf("%q is missing in %s", part, got)
		}
	}
	if strings.Contains(got, "secret") || strings.Contains(got, base64.StdEncoding.EncodeToString([]byte("secret"))) {
		t.Errorf("the value is in %s", got)
	}
	if !errors.Is(err, cause) {
		t.Error("the cause is lost")
	}
}
