// Google's own fake of Pub/Sub (pstest, gRPC only) behind the paths of the REST API: pubsubserver HOST:PORT
// What a request says goes to the fake as it is, and its errors come back as Google's REST API writes them.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

var statuses = map[codes.Code]int{
	codes.InvalidArgument: 400, codes.FailedPrecondition: 400, codes.NotFound: 404, codes.AlreadyExists: 409,
	codes.Unauthenticated: 401, codes.PermissionDenied: 403, codes.ResourceExhausted: 429, codes.Unavailable: 503,
}

var names = map[codes.Code]string{
	codes.InvalidArgument: "INVALID_ARGUMENT", codes.FailedPrecondition: "FAILED_PRECONDITION", codes.NotFound: "NOT_FOUND",
	codes.AlreadyExists: "ALREADY_EXISTS", codes.Unavailable: "UNAVAILABLE",
}

func main() {
	fake := pstest.NewServer()
	connection, err := grpc.NewClient(fake.Addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		panic(err)
	}
	publisher, subscriber := pubsubpb.NewPublisherClient(connection), pubsubpb.NewSubscriberClient(connection)
	answer := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		path := strings.TrimPrefix(r.URL.Path, "/v1/")
		name, verb, _ := strings.Cut(path, ":")
		if r.Method != "POST" {
			verb = strings.ToLower(r.Method)
		}
		// the fake names a resource in a field of the request, the REST API in the path
		read := func(message proto.Message, field string) proto.Message {
			if len(body) == 0 {
				body = []byte("{}")
			}
			var fields map[string]json.RawMessage
			if json.Unmarshal(body, &fields) != nil {
				return nil
			}
			fields[field], _ = json.Marshal(name)
			whole, _ := json.Marshal(fields)
			if protojson.Unmarshal(whole, message) != nil {
				return nil
			}
			return message
		}
		ctx, cancel := context.WithTimeout(r.Context(), 90*time.Second)
		defer cancel()
		var said proto.Message
		err := status.Error(codes.InvalidArgument, "what is that?")
		isTopic := strings.Contains(name, "/topics/")
		switch {
		case verb == "put" && isTopic:
			if m := read(&pubsubpb.Topic{}, "name"); m != nil {
				said, err = publisher.CreateTopic(ctx, m.(*pubsubpb.Topic))
			}
		case verb == "put":
			if m := read(&pubsubpb.Subscription{}, "name"); m != nil {
				said, err = subscriber.CreateSubscription(ctx, m.(*pubsubpb.Subscription))
			}
		case verb == "get" && isTopic:
			said, err = publisher.GetTopic(ctx, &pubsubpb.GetTopicRequest{Topic: name})
		case verb == "get":
			said, err = subscriber.GetSubscription(ctx, &pubsubpb.GetSubscriptionRequest{Subscription: name})
		case verb == "publish":
			if m := read(&pubsubpb.PublishRequest{}, "topic"); m != nil {
				said, err = publisher.Publish(ctx, m.(*pubsubpb.PublishRequest))
			}
		case verb == "pull":
			if m := read(&pubsubpb.PullRequest{}, "subscription"); m != nil {
				said, err = subscriber.Pull(ctx, m.(*pubsubpb.PullRequest))
			}
		case verb == "acknowledge":
			if m := read(&pubsubpb.AcknowledgeRequest{}, "subscription"); m != nil {
				said, err = subscriber.Acknowledge(ctx, m.(*pubsubpb.AcknowledgeRequest))
			}
		case verb == "modifyAckDeadline":
			if m := read(&pubsubpb.ModifyAckDeadlineRequest{}, "subscription"); m != nil {
				said, err = subscriber.ModifyAckDeadline(ctx, m.(*pubsubpb.ModifyAckDeadlineRequest))
			}
		}
		w.Header().Set("Content-Type", "application/json; charset=UTF-8")
		if err != nil {
			code := status.Code(err)
			number, known := statuses[code]
			if !known {
				number = 500
			}
			w.WriteHeader(number)
			json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{
				"code": number, "message": status.Convert(err).Message(), "status": names[code]}})
			return
		}
		written, _ := protojson.Marshal(said)
		w.Write(written)
	}
	fmt.Println("ready")
	if err := http.ListenAndServe(os.Args[1], http.HandlerFunc(answer)); err != nil {
		panic(err)
	}
}
